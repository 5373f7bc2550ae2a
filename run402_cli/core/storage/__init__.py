"""Stored objects: uploads, the asset section of a release, listing, signed URLs, serving. See docs/assets.md.

keys        what a key may look like
spec        the `assets` section of a release spec
objects     tables and queries
images      format and size of pictures
section     what a release with assets plans and does
uploads     upload sessions
reads       serving, signatures
blobs       list, read, sign, delete, diagnose with a project key
handed      assets that functions hand in
routes      every route of the above
"""
