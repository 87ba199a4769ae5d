"""When a server may be asked: hospital networks are slow by day, and shared."""

import datetime
import re
from dataclasses import dataclass

from dicomprep.errors import ConfigError

__all__ = ["Hours"]


@dataclass(frozen=True, slots=True)
class Hours:
    """A part of each day, by this machine's clock as it is at that moment: `20:00-06:00`.

    Where clocks are put forward or back in that night, it is shorter or longer by an hour.
    """

    begin: datetime.time
    end: datetime.time

    @classmethod
    def parse(cls, text: str) -> "Hours | None":
        """None where no hours are given; ConfigError where they are none.

        >>> Hours.parse("20:00-06:00").allow(datetime.time(23))
        True
        """
        if not text:
            return None
        match = re.fullmatch(r"(\d\d?):(\d\d)-(\d\d?):(\d\d)", text)
        try:
            first, second, third, fourth = map(int, match.groups()) if match else (99, 0, 0, 0)
            hours = cls(datetime.time(first, second), datetime.time(third % 24 if not fourth else third, fourth))
        except ValueError as error:
            raise ConfigError(f"--between {text}: give two times of day such as 20:00-06:00.") from error
        if hours.begin == hours.end or third > 24:
            raise ConfigError(f"--between {text}: the two times are to differ, such as 20:00-06:00.")
        return hours

    def allow(self, now: datetime.time) -> bool:
        """Whether it is time; the hours may go beyond midnight."""
        if self.begin <= self.end:
            return self.begin <= now < self.end
        return now >= self.begin or now < self.end

    def are_at(self, seconds: float) -> bool:
        """Whether it is time at a moment, in seconds since the epoch, by the clock on the wall."""
        return self.allow(datetime.datetime.fromtimestamp(seconds).time())

    def __str__(self) -> str:
        return f"{self.begin:%H:%M}-{self.end:%H:%M}"
