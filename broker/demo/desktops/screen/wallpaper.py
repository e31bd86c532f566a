"""The picture on a machine's screen, in two colours, so that one sees which it is: its name over rows of seats."""

import colorsys
import hashlib

WIDTH, HEIGHT = 1280, 800
# Five columns of seven pixels a letter, the lowest bit on top.
LETTERS = {
    "A": "7e1111117e", "B": "7f49494936", "C": "3e41414122", "D": "7f4141221c", "E": "7f49494941", "F": "7f09090901",
    "G": "3e41495132", "H": "7f0808087f", "I": "00417f4100", "J": "2040413f01", "K": "7f08142241", "L": "7f40404040",
    "M": "7f0204027f", "N": "7f0408107f", "O": "3e4141413e", "P": "7f09090906", "Q": "3e4151215e", "R": "7f09192946",
    "S": "4649494931", "T": "01017f0101", "U": "3f4040403f", "V": "1f2040201f", "W": "7f2018207f", "X": "6314081463",
    "Y": "0304780403", "Z": "6151494543", "0": "3e5149453e", "1": "00427f4000", "2": "4261514946", "3": "2141454b31",
    "4": "1814127f10", "5": "2745454539", "6": "3c4a494930", "7": "0171090503", "8": "3649494936", "9": "064949291e",
    "-": "0808080808", ".": "0060600000", "_": "4040404040",
}  # fmt: skip


class Picture:
    """Rows of pixels that are set or not."""

    def __init__(self) -> None:
        self.rows = [bytearray(WIDTH) for _ in range(HEIGHT)]

    def box(self, left: int, top: int, width: int, height: int) -> None:
        """A filled rectangle."""
        for row in self.rows[top : top + height]:
            row[left : left + width] = b"\1" * len(row[left : left + width])

    def words(self, text: str, top: int, size: int) -> None:
        """A line of letters in the middle, each pixel of them so large."""
        left = (WIDTH - (6 * len(text) - 1) * size) // 2
        for place, letter in enumerate(text.upper()):
            for column, bits in enumerate(bytes.fromhex(LETTERS.get(letter, "0000000000"))):
                for row in [row for row in range(7) if bits >> row & 1]:
                    self.box(left + (6 * place + column) * size, top + row * size, size, size)

    def xbm(self) -> str:
        """As xsetroot reads it."""
        lines = [f"#define w_width {WIDTH}\n#define w_height {HEIGHT}\nstatic char w_bits[] = {{\n"]
        for row in self.rows:
            numbers = (int.from_bytes(row[at : at + 8], "big") for at in range(0, WIDTH, 8))
            lines.append(",".join(BYTES[number] for number in numbers) + ",\n")
        return "".join(lines).rstrip(",\n") + "};\n"


# Eight bytes of 0 or 1, the first one is the lowest bit.
BYTES = {
    sum((value >> bit & 1) << 8 * (7 - bit) for bit in range(8)): f"0x{value:02x}" for value in range(256)
}  # fmt: skip


def picture(name: str) -> str:
    """The bitmap of a machine with this name, as text."""
    made = Picture()
    size = max(3, min(14, WIDTH // (6 * max(len(name), 1) + 6)))
    made.words(name, 90, size)
    for row in range(3):
        for seat in range(10 + row):
            left, top = (WIDTH - (10 + row) * 90) // 2 + seat * 90, 560 + row * 80
            made.box(left + 20, top, 50, 36)
            made.box(left + 12, top + 20, 6, 34)
            made.box(left + 72, top + 20, 6, 34)
            made.box(left + 20, top + 40, 50, 14)
    return made.xbm()


def colours(name: str) -> tuple[str, str]:
    """Those of the picture and of what is behind it: each machine's own."""
    hue = hashlib.sha256(name.encode()).digest()[0] / 256
    shades = (colorsys.hls_to_rgb(hue, light, 0.45) for light in (0.42, 0.16))
    front, back = ("#" + "".join(f"{round(part * 255):02x}" for part in shade) for shade in shades)
    return front, back
