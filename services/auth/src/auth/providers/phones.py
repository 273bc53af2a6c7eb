"""Phone numbers by libphonenumber."""

import re
from collections.abc import Collection

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType

from auth import errors

# Checked first: the library also reads letters, extensions and URIs, which nobody here types.
_TYPED = re.compile(r"\s*\+?[0-9][0-9 ().\-/]{4,28}\s*")
_MOBILE = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})


class LibPhones:
    """Reads what people type; the first region is meant where no country code is given."""

    def __init__(self, regions: Collection[str]) -> None:
        self._regions = frozenset(regions)
        self._home = next(iter(regions))

    def normalise(self, text: str) -> str:
        """Return E.164; PhoneInvalid or PhoneNotAllowed."""
        if not text.isascii() or not _TYPED.fullmatch(text):
            # "0812… ext 5" is a number, only not one that can be sent a code.
            raise errors.PhoneNotAllowed if "ext" in text.lower() else errors.PhoneInvalid
        try:
            number = phonenumbers.parse(text, self._home)
        except NumberParseException as error:
            raise errors.PhoneInvalid from error
        if number.extension:
            raise errors.PhoneNotAllowed
        if not phonenumbers.is_valid_number(number):
            raise errors.PhoneInvalid
        if phonenumbers.region_code_for_number(number) not in self._regions:
            raise errors.PhoneNotAllowed
        if phonenumbers.number_type(number) not in _MOBILE:
            raise errors.PhoneNotAllowed
        return str(phonenumbers.format_number(number, PhoneNumberFormat.E164))
