# messages.json to a libFuzzer dictionary: the first octets of every message, and the padding that opens a hunt.
def digit: "0123456789abcdef"[.:. + 1];
def octet: "\\x" + (. / 16 | floor | digit) + (. % 16 | digit);
(.frame.magic | map(octet) | add) as $magic
| (.messages[] | "\(.name)=\"\($magic)\(.type | octet)\\x00\""),
  "preamble=\"\([.frame.pad | octet] | .[0] * 16)\""
