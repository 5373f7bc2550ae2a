"""Stored objects: uploads, the asset section of a release, listing, signed URLs, serving. See docs/assets.md.

keys        what a key may look like
spec        the `assets` section of a release spec
object_rows tables of objects and of kept versions
upload_rows table of upload sessions
objects     how objects are shown: addresses, references
images      format and size of pictures
section     what a release with assets plans and does
callers     who may
uploads     upload sessions
reads       serving, signatures
blobs       list, read, sign, delete, diagnose with a project key
handed      assets that functions hand in
routes      every route of the above
"""
