"""What `model.chat_template` may be: none, a file, or a template's own text."""

from pathlib import Path

from rlvr.errors import UserError

NONE = "none"
MESSAGES_ALONE = "{{ messages | map(attribute='content') | join('\\n\\n') }}"
LARGEST = 1 << 20  # bytes of a file
ACCEPTED = f"accepted are null, {NONE}, a file that ends in .jinja, or the text of a template"


def with_text(given: str | None) -> str | None:
    """The text of a template in the place of its file, so that a config says what it is by itself.

    Raises:
        UserError: for no file, or one that is no text of a template.
    """
    if given in (None, NONE) or is_text(given):
        return given
    key, file = f"model.chat_template={given}", Path(given).expanduser()
    if file.suffix != ".jinja":
        raise UserError(f"{' '.join(key.split())[:200]}: {ACCEPTED}")
    if not file.is_file():
        where = "" if file.is_absolute() else f" in {Path.cwd()}"
        raise UserError(f"{key}: there is no such file{where}; {ACCEPTED}")
    try:
        content = file.read_bytes() if file.stat().st_size <= LARGEST else b""
        text = content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{key} can't be read ({type(error).__name__}: {error}): {ACCEPTED}") from error
    if not is_text(text):
        raise UserError(f"{key} holds no template of at most {LARGEST >> 20} MiB, with {{{{ or {{% in it")
    return text


def is_text(given: str) -> bool:
    """Whether it is a template, which has to write the messages, and no file's name."""
    return "{{" in given or "{%" in given


def template_text(given: str) -> str:
    """What the tokenizer is given."""
    return MESSAGES_ALONE if given == NONE else given
