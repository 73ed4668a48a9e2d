from typing import Any

class Ops:
    def __init__(self, plan: Any, packs: list[Any], rows: int) -> None: ...
