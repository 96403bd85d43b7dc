"""Templates of the pages, and the headers that every page has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import CodeType
from typing import Any

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.bccache import Bucket, BytecodeCache
from jinja2.runtime import Context
from markupsafe import Markup

from trunkline.console.languages import LANGUAGES, Language
from trunkline.console.static_files import StaticFiles


class _CompiledTemplates(BytecodeCache):
    """What the templates are compiled to, which takes some 15 ms each, is the same in all languages and renderers."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give a template the code that it was compiled to before; without, it is compiled."""
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what a template was compiled to."""
        if bucket.code is not None:
            self._codes[bucket.key, bucket.checksum] = bucket.code


_COMPILED = _CompiledTemplates()


class PageRenderer:
    """Makes pages of templates.

    :param connect: origins that scripts may connect to in addition to our own (``wss://...`` of the browser phone).
    """

    def __init__(self, static: StaticFiles, connect: Iterable[str] = ()) -> None:
        self._static = static
        self._environments = {code: self._environment(one) for code, one in LANGUAGES.items()}
        self._headers = {
            "Content-Security-Policy": content_security_policy(connect),
            "Cache-Control": "no-store",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Permissions-Policy": "microphone=(self), camera=(), geolocation=(), payment=()",
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }

    @property
    def version(self) -> str:
        """Changes with the style sheet and scripts: a page that is open for long loads itself again."""
        return self._static.version

    @property
    def headers(self) -> Mapping[str, str]:
        """Of every page, and of every other answer of the console."""
        return self._headers

    def page(
        self, template: str, language: Language, values: Mapping[str, Any], *, status: int = 200
    ) -> web.Response:
        """A page in a language."""
        text = self.text(template, language, values)
        return web.Response(
            status=status, text=text, content_type="text/html", charset="utf-8", headers=self._headers
        )

    def text(self, template: str, language: Language, values: Mapping[str, Any]) -> str:
        """A filled template."""
        return self._environments[language.code].get_template(template).render(values)

    def _environment(self, language: Language) -> Environment:
        environment = Environment(
            loader=PackageLoader("trunkline.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.i18n"],
            bytecode_cache=_COMPILED,
        )
        environment.install_gettext_translations(language.texts, newstyle=True)  # type: ignore[attr-defined]

        # Filters with a context are not applied while a template is compiled: the result is for all languages.
        @pass_context
        def translated(_: Context, text: Any) -> Any:
            return language.texts.gettext(text) if text else text

        @pass_context
        def filled(_: Context, sentence: tuple[str, Mapping[str, str]]) -> Markup:
            return _filled(language, *sentence)

        # ``_()`` marks its text as HTML, so texts that are not written in a template need the first one.
        environment.filters |= {"translated": translated, "filled": filled}
        environment.globals |= {
            "language": language,
            "languages": tuple(LANGUAGES.values()),
            "static": self._static.path,
            "has_static": self._static.__contains__,
        }
        return environment


def _filled(language: Language, text: str, values: Mapping[str, str]) -> Markup:
    """A text of ours in the page's language with values of others in it, each in its own direction of writing."""
    shown = {name: Markup("<bdi>{}</bdi>").format(value) for name, value in values.items()}
    return Markup(language.texts.gettext(text)) % shown  # noqa: S704 - the text is one of ours


def content_security_policy(connect: Iterable[str] = ()) -> str:
    """Nothing from other origins, no inline script or style, no frame around the page, forms to us only."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "font-src 'self'",
            "media-src 'self' blob:",
            f"connect-src {' '.join(dict.fromkeys(('self', *connect)))}".replace("src self", "src 'self'"),
            "worker-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        )
    )
