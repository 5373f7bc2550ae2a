"""run402 assets: files in the project's content-addressed storage."""

from __future__ import annotations

import functools
import inspect
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from run402_cli import advice, output
from run402_cli.client import Client
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import OverwriteOpt, ProjectOpt, integer, one_of, resolve_project
from run402_cli.errors import FlagError, UsageError, Verdict
from run402_cli.services import assets
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()

FileWords = Annotated[list[str] | None, typer.Argument(metavar="FILE...", show_default=False)]
KeyWord = Annotated[list[str] | None, typer.Argument(metavar="KEY", show_default=False)]
UrlWord = Annotated[list[str] | None, typer.Argument(metavar="URL", show_default=False)]
_MEDIA_TYPE = re.compile(r"[^\s/]+/[^\s/]+")
_EXIF = ("keep", "strip")

KeyOpt = Annotated[
    str | None,
    typer.Option(
        "--key", metavar="KEY", help="Name of the asset; ending in / a prefix. Default: the file's base name."
    ),
]
ContentTypeOpt = Annotated[
    str | None, typer.Option("--content-type", metavar="TYPE", help="Media type. Default: by the key's extension.")
]
PrivateOpt = Annotated[bool, typer.Option("--private", help="Only readable with the service key or a signed URL.")]
ImmutableOpt = Annotated[bool, typer.Option("--immutable", help="Also serve it at a URL that holds its digest.")]
MetaOpt = Annotated[
    list[str] | None, typer.Option("--meta", metavar="KEY=VALUE", help="Metadata; repeatable. A comma makes a list.")
]
ExifOpt = Annotated[
    str | None, typer.Option("--exif-policy", metavar="POLICY", help="keep or strip the EXIF data of images.")
]
StreamOpt = Annotated[bool, typer.Option("--stream", "--json", help="One JSON line per step instead of one array.")]
ConcurrencyOpt = Annotated[str | None, typer.Option("--concurrency", metavar="N", help="Old, has no effect.")]
NoResumeOpt = Annotated[bool, typer.Option("--no-resume", help="Old, has no effect.")]
PrefixOpt = Annotated[str | None, typer.Option("--prefix", metavar="TEXT", help="Only keys that begin with this.")]
LimitOpt = Annotated[str | None, typer.Option("--limit", metavar="N", help="At most N assets, 1-1000. Default: 100.")]
SortOpt = Annotated[
    str | None, typer.Option("--sort", metavar="ORDER", help=f"{', '.join(assets.SORTS)}. Default: key:asc.")
]
FilterOpt = Annotated[
    list[str] | None,
    typer.Option("--filter", metavar="KEY=VALUE", help=f"Repeatable. Keys: {', '.join(assets.FILTERS)}."),
]
OutputOpt = Annotated[str | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write it.")]
TtlOpt = Annotated[
    str | None, typer.Option("--ttl", metavar="SECONDS", help="How long the URL works, 60-604800. Default: 3600.")
]

# Every subcommand takes, and checks, the flags of all of them.
_SHARED: dict[str, tuple[Any, Any]] = {
    "project": (ProjectOpt, None),
    "key": (KeyOpt, None),
    "content_type": (ContentTypeOpt, None),
    "private": (PrivateOpt, False),
    "immutable": (ImmutableOpt, False),
    "meta": (MetaOpt, None),
    "exif_policy": (ExifOpt, None),
    "stream": (StreamOpt, False),
    "concurrency": (ConcurrencyOpt, None),
    "no_resume": (NoResumeOpt, False),
    "prefix": (PrefixOpt, None),
    "limit": (LimitOpt, None),
    "sort": (SortOpt, None),
    "filters": (FilterOpt, None),
    "output_file": (OutputOpt, None),
    "ttl": (TtlOpt, None),
}
Handler = Callable[..., None]


def shared_flags(command: Handler) -> Handler:
    """Give a command the group's other flags, hidden, and check the values of all before it runs."""
    own = inspect.signature(command, eval_str=True)
    hidden = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=_hidden(annotation))
        for name, (annotation, default) in _SHARED.items()
        if name not in own.parameters
    ]

    @functools.wraps(command)
    def checked(**values: Any) -> None:
        _check(values)
        command(**{name: values[name] for name in own.parameters})

    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own.parameters.values()
    ] + hidden
    checked.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    checked.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del checked.__wrapped__
    return checked


def _hidden(annotation: Any) -> Any:
    kind, option = annotation.__origin__, annotation.__metadata__[0]
    spellings = (option.default, *option.param_decls)  # typer keeps the first where a default stands without Annotated
    return Annotated[kind, typer.Option(*spellings, metavar=option.metavar, help=option.help, hidden=True)]


def _check(values: dict[str, Any]) -> None:
    content_type = values["content_type"]
    if content_type is not None and not _MEDIA_TYPE.fullmatch(content_type.partition(";")[0].strip()):
        raise FlagError(
            f"--content-type takes a media type such as text/plain, not {content_type!r}.",
            details={"flag": "--content-type", "value": content_type},
        )
    one_of("--exif-policy", values["exif_policy"], _EXIF, key="flag")
    integer("--concurrency", values["concurrency"])
    integer("--limit", values["limit"], low=1, high=1000)
    one_of("--sort", values["sort"], assets.SORTS, key="flag")
    integer("--ttl", values["ttl"], low=60, high=604_800)


def _project(client: Client, flag: str | None) -> str:
    return resolve_project(client.profile, flag if flag is not None else os.environ.get("RUN402_PROJECT") or None)


def _one(words: list[str] | None, what: str, example: str) -> str:
    if not words:
        raise UsageError(f"Name the {what}.", hint=example)
    if len(words) > 1:
        raise UsageError(f"Unexpected argument {words[1]!r}: this takes one {what}.", hint=example)
    return words[0]


@app.command(
    "put",
    effect="write",
    auth=("principal", "anon_key"),
    spends=True,
    example=["run402 assets put logo.png --immutable", "run402 assets put img/* --key img/"],
)
@shared_flags
def put(
    files: FileWords = None,
    key: KeyOpt = None,
    content_type: ContentTypeOpt = None,
    private: PrivateOpt = False,
    immutable: ImmutableOpt = False,
    meta: MetaOpt = None,
    exif_policy: ExifOpt = None,
    stream: StreamOpt = False,
    project: ProjectOpt = None,
) -> None:
    """Upload files. Each becomes an asset under its base name, or below --key when that ends in /.

    Bytes that the gateway has already are not sent again, so running the command again resumes it.
    """
    from run402_cli.commands._deploy import this_command
    from run402_cli.deploy import assets as upload
    from run402_cli.deploy.errors import release_errors

    with TerminalClient() as client:
        project_id = _project(client, project)
        if not files:
            raise UsageError("Name the files to upload.", hint="run402 assets put <file> [<file> ...]")
        if len(files) > 1 and key is not None and not key.endswith("/"):
            raise UsageError(
                f"--key {key} names one asset, and there are {len(files)} files.",
                hint=f"Write --key {key}/ to use it as a prefix.",
            )
        uploads = [_upload(file, key, content_type) for file in files]
        properties = upload.Properties(
            private=private,
            immutable=immutable,
            metadata=assets.metadata_of(_pairs("--meta", meta)),
            exif_policy=exif_policy,
        )
        upload.require_file(files[0])
        client.profile.keys.require(project_id)
        with release_errors():
            refs = upload.put(
                client,
                project_id,
                uploads,
                properties,
                command=this_command("run402 assets put"),
                report=_report if stream else lambda _event, _fields: None,
            )
    if not stream:
        output.emit([{"file": file, **ref} for file, ref in zip(files, refs, strict=True)])


def _upload(file: str, key: str | None, content_type: str | None) -> Any:
    from run402_cli.deploy import assets as upload

    name = Path(file).name
    target = name if key is None else key + name if key.endswith("/") else key
    assets.check_key(target)
    kind = content_type.strip() if content_type is not None else assets.content_type_of(target)
    return upload.Upload(file, target, kind)


def _report(event: str, fields: Any) -> None:
    output.emit_line({"event": event, **fields})


def _pairs(flag: str, texts: list[str] | None) -> list[tuple[str, str]]:
    pairs = []
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise FlagError(f"{flag} takes key=value, not {text!r}.", details={"flag": flag, "value": text})
        pairs.append((name.strip(), value))
    return pairs


@app.command(
    "get",
    summary="Download one asset.",
    effect="write",
    auth="service_key",
    needed="--output",
    example="run402 assets get img/logo.png --output logo.png",
)
@shared_flags
def get(
    key: KeyWord = None,
    output_file: OutputOpt = None,
    overwrite: OverwriteOpt = False,
    project: ProjectOpt = None,
) -> None:
    """Download one asset to a file. An interrupted download goes on where it stopped when it is run again.

    The file gets its name only when it is complete and its SHA-256 is the announced one.
    """
    from run402_cli.services.download import download

    with TerminalClient() as client:
        project_id = _project(client, project)
        name = _one(key, "asset", "run402 assets get <key> --output <file>")
        if not output_file:
            raise UsageError(
                "Name the file to write.", hint=advice.command("assets", "get", name, "--output", advice.Blank("file"))
            )
        output.emit(download(client, project_id, name, output_file, overwrite=overwrite), compact=True)


@app.command(
    "ls",
    summary="List assets.",
    effect="read",
    auth="service_key",
    example="run402 assets ls --prefix img/ --sort createdAt:desc --filter is_image=true",
)
@shared_flags
def ls(
    prefix: PrefixOpt = None,
    limit: LimitOpt = None,
    sort: SortOpt = None,
    filters: FilterOpt = None,
    project: ProjectOpt = None,
) -> None:
    """List assets, by key unless --sort says otherwise."""
    with TerminalClient() as client:
        project_id = _project(client, project)
        chosen = _filters(filters)
        listed = assets.ls(
            client, project_id, prefix=prefix, limit=integer("--limit", limit), sort=sort, filters=chosen
        )
        output.emit(listed)


def _filters(texts: list[str] | None) -> dict[str, str]:
    chosen = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise FlagError(f"--filter takes key=value, not {text!r}.", details={"flag": "--filter", "value": text})
        if name not in assets.FILTERS:
            raise FlagError(
                f"--filter does not know {name!r}; it takes {', '.join(assets.FILTERS)}.",
                details={"flag": "--filter", "key": name},
            )
        if problem := _filter_problem(name, value):
            raise FlagError(f"--filter {name} {problem}.", details={"flag": "--filter", "key": name, "value": value})
        chosen[name] = value
    return chosen


def _filter_problem(name: str, value: str) -> str | None:
    if name == "is_image":
        return None if value in ("true", "false") else "is true or false"
    if name in assets.SIZE_FILTERS:
        return None if value.isascii() and value.isdigit() else "is a whole number of pixels"
    return None if value else "must not be empty"


@app.command("rm", effect="destructive", auth="service_key", example="run402 assets rm img/logo.png")
@shared_flags
def rm(key: KeyWord = None, project: ProjectOpt = None) -> None:
    """Delete one asset. URLs that hold a digest keep working."""
    with TerminalClient() as client:
        project_id = _project(client, project)
        name = _one(key, "asset", "run402 assets rm <key>")
        output.emit(assets.rm(client, project_id, name), compact=True)


@app.command(
    "sign",
    summary="A time-limited URL for one asset.",
    effect="read",
    auth="service_key",
    example="run402 assets sign invoices/7.pdf --ttl 600",
)
@shared_flags
def sign(key: KeyWord = None, ttl: TtlOpt = None, project: ProjectOpt = None) -> None:
    """Make a URL that reads one asset for a limited time, private or not."""
    with TerminalClient() as client:
        project_id = _project(client, project)
        name = _one(key, "asset", "run402 assets sign <key>")
        output.emit(assets.sign(client, project_id, name, ttl_seconds=integer("--ttl", ttl)))


@app.command(
    "diagnose",
    summary="What a public asset URL serves, and what it should.",
    effect="read",
    auth="service_key",
    example="run402 assets diagnose https://app.run402.com/_blob/logo.png",
)
@shared_flags
def diagnose(url: UrlWord = None, project: ProjectOpt = None) -> None:
    """Compare what a public URL serves with what it should serve."""
    with TerminalClient() as client:
        project_id = _project(client, project)
        address = _one(url, "URL", "run402 assets diagnose <url>")
        diagnosis = assets.diagnose(client, project_id, address)
    output.emit(diagnosis)
    output.notice("")
    output.notice(f"# One probe from {diagnosis['vantage']}, not a global view: other places may see other bytes.")
    if not assets.is_fresh(diagnosis):
        expected, seen = diagnosis["expected_sha256"], diagnosis["observed_sha256"]
        wait = ("cdn", "wait-fresh", address, "--sha", expected or advice.Blank("sha256"), "--project", project_id)
        raise Verdict(
            1, f"{address} serves {seen or 'nothing'}, not {expected or 'a known file'}.", advice.command(*wait)
        )
