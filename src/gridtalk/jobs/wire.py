"""Jobs as meters read them (meter-protocol.md, gateway.md 4). Pure."""

from decimal import Decimal


def job_text(*, word: str, job_id: int, address: str = "", amount: Decimal | None = None) -> str:
    """``(job=cr&jobid=17&cid=192.168.1.201&amt=500.0)``: the parts that there are, in order."""
    parts = [f"job={word}", f"jobid={job_id}"]
    if address:
        parts.append(f"cid={address}")
    if amount is not None:
        parts.append(f"amt={amount_text(amount)}")
    return f"({'&'.join(parts)})"


def amount_text(amount: Decimal) -> str:
    """The amount as the meters of 2012 were sent it: at least one decimal, no needless zero."""
    text = f"{amount:.2f}"
    return text.removesuffix("0")
