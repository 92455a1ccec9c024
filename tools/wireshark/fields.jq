# The messages of spec/messages.json as a Lua table: name, and of each field name, octets, kind, meaning.
# Kinds: uint, text, payload, zero.  Octets 0: the rest of the body.

def size: if .type == "octets" then 0
          elif .type | test("^u[0-9]+$") then (.type[1:] | tonumber) / 8
          else .type | sub("^[a-z]+"; "") | tonumber end;
def kind: if .type == "octets" then "payload"
          elif .type | startswith("u") then "uint"
          elif .type | startswith("text") then "text"
          else "zero" end;
def values: [.values // {} | to_entries[] | "[\(.value)] = \"\(.key)\""] | if length > 0 then ", {" + join(", ") + "}" else "" end;
def doc: .doc // "" | gsub("`"; "");

"local messages = {",
(.messages[] |
    "    [\(.type)] = {\"\(.name)\",",
    (.fields[] | "        {\"\(.name)\", \(size), \"\(kind)\", \(doc | @json)\(values)},"),
    "    },"),
"}"
