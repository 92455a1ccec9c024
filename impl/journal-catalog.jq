# The event catalogue as a message catalogue of the systemd journal: `journalctl -x` shows cause and remedy below an entry.
"# Generated from spec/events.json.\n",
(.events[]
 | "-- \($prefix)\("00000000\(.id)"[-8:])",
   "Subject: \(.message)",
   "Defined-By: VPCBus",
   "",
   "Cause: \(.cause)",
   "",
   "Remedy: \(.remedy)",
   "")
