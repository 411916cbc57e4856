"""Text from outside, made fit for storing."""


def storable(text: str) -> str:
    """The text without what PostgreSQL cannot hold: NUL and lone surrogates become U+FFFD."""
    return (
        text.replace("\x00", "�").encode("utf-8", "replace").decode() if needs_care(text) else text
    )


def needs_care(text: str) -> bool:
    """Whether the text holds NUL or a lone surrogate."""
    return "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text)


def decoded(raw: bytes, charset: str = "utf-8") -> str:
    """Bytes as text; what is not that charset, or no charset at all, is replaced, never refused."""
    try:
        return raw.decode(charset, "replace")
    except LookupError:
        return raw.decode("utf-8", "replace")
