"""Templates and the files beside them; what comes from data is escaped by every template."""

import base64
import json
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

FOLDER = Path(__file__).with_name("templates")
TEMPLATES = Environment(
    loader=FileSystemLoader(FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def rendered(template: str, **values: object) -> Markup:
    """HTML of a template; strings among `values` are escaped, Markup is taken as it is.

    Raises:
        jinja2.UndefinedError: the template asks for what is not there.
    """
    return Markup(TEMPLATES.get_template(template).render(values))


def own(file: str) -> Markup:
    """A file of the package, as it is."""
    return Markup((FOLDER / file).read_text(encoding="utf-8"))


def embedded(content: object) -> Markup:
    """JSON that can stand in a <script>: no text in it ends the element.

    Raises:
        ValueError: a number is not finite.
    """
    return Markup(json.dumps(content, allow_nan=False, ensure_ascii=False).replace("<", "\\u003c"))


def picture(png: bytes) -> str:
    """A PNG as the address of an image."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
