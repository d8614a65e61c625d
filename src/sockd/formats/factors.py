"""Prime factors of integers, and the lines that ask for them."""

from __future__ import annotations

import math
import re

SMALL = 2**64
"""Numbers below this are factored at once; the slowest of them takes about a millisecond."""
_MOST_DIGITS = 4000
"""Of a number whose factors are looked at: as many as a daemon can be told to take."""
_LONGEST_ANSWER = 7
"""Bytes of an answer for each of a number's digits: of a power of two, `2 ` for each bit."""
_MOST_PROVEN = 2**512
"""To look at a larger one takes longer than a reactor has time."""
_WITNESSES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
"""No composite below 3.3 * 10**24 passes with all of these (Sorenson and Webster, 2015)."""
_FACTORS = re.compile(rb"[0-9]+( [0-9]+)*")
_NUMBER = re.compile(rb"\+?([0-9]+)")


def parse_number(line: bytes, max_digits: int) -> int:
    """The integer of a line. Raises ValueError that says what is wrong with it."""
    text = line.strip()
    match = _NUMBER.fullmatch(text)
    if not match:
        if re.fullmatch(rb"-[0-9]+", text):
            raise ValueError("below 2")
        raise ValueError("not an integer")
    digits = match[1].lstrip(b"0")
    if len(digits) > max_digits:
        raise ValueError(f"too long: more than {max_digits} digits")
    number = int(digits or b"0")
    if number < 2:
        raise ValueError("below 2")
    return number


def factors(number: int) -> bytes:
    """The prime factors, ascending, with multiplicity, separated by one space."""
    # where a daemon has no factor service it need not load the library
    from flint import fmpz

    primes = sorted((int(prime), int(power)) for prime, power in fmpz(number).factor())
    return b" ".join(b" ".join([b"%d" % prime] * power) for prime, power in primes)


def are_factors(line: bytes, answer: bytes) -> bool:
    """Whether an answer is the number of the line in ascending prime factors.

    Those of more than `_MOST_PROVEN` are believed to be prime.
    """
    if len(answer) > _LONGEST_ANSWER * (len(line) + 1) or not _FACTORS.fullmatch(answer):
        return False
    try:
        number = parse_number(line, _MOST_DIGITS)
        found = [int(word) for word in answer.split(b" ")]
    except ValueError:  # also of an int that Python finds too long
        return False
    is_product = found == sorted(found) and found[0] >= 2 and math.prod(found) == number
    return is_product and all(p > _MOST_PROVEN or is_prime(p) for p in set(found))


def is_prime(number: int) -> bool:
    """Whether a number is prime: for certain below 3.3 * 10**24, likely above (Miller, Rabin)."""
    if number < 2 or any(number % witness == 0 for witness in _WITNESSES):
        return number in _WITNESSES
    twos = ((number - 1) & (1 - number)).bit_length() - 1
    odd = (number - 1) >> twos
    for witness in _WITNESSES:
        power = pow(witness, odd, number)
        if power == 1:
            continue
        for _ in range(twos):
            if power == number - 1:
                break
            power = power * power % number
        else:
            return False
    return True
