# messages.json to a dictionary for $target: the beginnings of messages for those that eat octets, words for the others;
# $steps is what the preprocessor makes of forms.def.
def digit: "0123456789abcdef"[.:. + 1];
def octet: "\\x" + (. / 16 | floor | digit) + (. % 16 | digit);
def words: .[] | "\"\(gsub("\\\\"; "\\\\") | gsub("\""; "\\\"") | gsub("@"; "\\x40"))\"";
def strings: [scan("\"([^\"]*)\"")[0]];
# Of each form its first word, direction and verb, and the names that it takes.
def forms: $steps | split("\n")[] | select(startswith("row ")) | split(" | ") | map({text: ., strings: strings})
  | (.[0].strings[] + (.[1].text | if . == "0" then "" else " " + .[1:2] end)
     + (.[2].strings | map(" " + .) | add // "")),
    (.[3].strings[] + "=");
(.frame.magic | map(octet) | add) as $magic
| if $target == "frame" or $target == "session" then
    (.messages[] | "\(.name)=\"\($magic)\(.type | octet)\\x00\""),
    "preamble=\"\([.frame.pad | octet] | .[0] * 16)\""
  elif $target == "script" or $target == "harness" then
    ((.messages[] | .name | ascii_downcase), (.messages[].fields[].name) | [.] | words),
    ([forms] | unique | if . == [] then error("forms.def gives no form") else . end | words),
    (["subject host", "subject guest", "!=", " within 500ms", " for 1s", " by CLS-1", " ignoring credit",
      " in background", "$c", "\\x00"] | words)
  elif $target == "control" then
    (["{\"execute\": \"", "start", "stop", "query-vm", "query-devices", "query-stats", "start-forward", "stop-forward",
      "query-forwards", "listen", "127.0.0.1:0", "when-full", "when-not-ready", "wait", "port", "\"arguments\": {", "\"id\": ",
      "host-type", "host-name", "guest-type", "guest-name", "pipe", "\\\\\\\\.\\\\pipe\\\\a", "@h", "@hplo", "@aloe",
      "null", "true", "0x80070057", "\\u0000", "1e999", "-9223372036854775808"] | words)
  elif $target == "pipe_name" then
    (["\\\\.\\pipe\\", "\\\\.\\PIPE\\", "65535", "65536", "6174"] | words)
  elif $target == "errand" then
    (["\\\\.\\pipe\\a", "Local\\T_ChannelReady"] | words)
  elif $target == "talk" then
    (["hello 1", "every ", "disk ", "file ", "go", "load ", "failed ", "end", "user :", "word :", "in :", "eof",
      "signal ", "started", "room ", "out :", "err :", "exited ", "killed ", "refused :", "job ", "queue :", "title :",
      "data :", "kept ", "not ", "allow ", "vpcbus:/", "?wait="] | words)
  else "zero=\"\\x00\\x00\\x00\\x00\"" end
