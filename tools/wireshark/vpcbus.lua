-- SPDX-License-Identifier: MIT
--
-- VPCBus for Wireshark: reads the traces of spec/TRACE.md (pcapng, link type USER0).
--
--     wireshark -X lua_script:tools/wireshark/vpcbus.lua FILE
--
-- Filters: vpcbus.type, vpcbus.channel, vpcbus.session, vpcbus.number, vpcbus.MESSAGE.FIELD (vpcbus.data.offset), vpcbus.padding.

-- Made from spec/messages.json by fields.jq; `make check-wireshark` compares them.
-- begin messages
local messages = {
    [1] = {"HELLO",
        {"role", 1, "uint", "1 host endpoint, 2 guest endpoint", {[1] = "host", [2] = "guest"}},
        {"reserved0", 1, "zero", ""},
        {"version_min", 2, "uint", "lowest version spoken, major * 256 + minor"},
        {"version_max", 2, "uint", "highest version spoken"},
        {"max_pairs", 2, "uint", "communication channels that the sender can hold at once"},
        {"epoch", 8, "uint", "the sender's epoch, drawn at random for this attempt"},
        {"echo", 8, "uint", "the receiver's epoch as last heard, zero if none was"},
        {"features", 4, "uint", "bit set of optional features; none is defined in 1.0"},
        {"heartbeat_ms", 4, "uint", "the sender sends a frame at least this often, in milliseconds"},
        {"tag", 32, "text", "chassis asset tag of the virtual machine, if known"},
        {"name", 32, "text", "name and version of the implementation"},
        {"reserved1", 32, "zero", ""},
    },
    [2] = {"READY",
        {"ready", 1, "uint", "1 ready, 0 no longer ready"},
        {"reserved0", 3, "zero", ""},
    },
    [3] = {"HEARTBEAT",
        {"count", 8, "uint", "heartbeats sent in this session, this one included"},
    },
    [4] = {"GOODBYE",
        {"cause", 4, "uint", "0 clean stop, 1 protocol violation", {[0] = "stop", [1] = "violation"}},
    },
    [5] = {"EVENT",
        {"event", 4, "uint", "id of the entry (section 9)"},
        {"lost", 4, "uint", "entries between the EVENT before and this one that were not sent"},
        {"time", 8, "uint", "when it was logged, the entry's own time"},
        {"h2g", 4, "uint", ""},
        {"g2h", 4, "uint", ""},
        {"port", 2, "uint", ""},
        {"level", 1, "uint", "0 info, 1 warning, 2 error", {[0] = "info", [1] = "warning", [2] = "error"}},
        {"reserved0", 1, "zero", ""},
        {"errno", 4, "uint", ""},
        {"sent", 8, "uint", ""},
        {"received", 8, "uint", ""},
        {"value", 8, "uint", "silent_ms, pairs or count"},
        {"cause", 32, "text", "its first 32 characters"},
        {"detail", 32, "text", "implementation, peer_versions, frame, or in decimal event_id; its first 32 characters"},
    },
    [16] = {"OPEN",
        {"reverse_channel", 4, "uint", "id of the guest-to-host channel"},
        {"port", 2, "uint", "TCP port on the guest's loopback address"},
        {"reserved0", 2, "zero", ""},
        {"connect_ms", 4, "uint", "time limit of the guest's connect, in milliseconds"},
        {"limit", 8, "uint", "credit of the guest-to-host channel, as an absolute offset"},
    },
    [17] = {"OPENED",
        {"limit", 8, "uint", "credit of the host-to-guest channel, as an absolute offset"},
    },
    [18] = {"REFUSED",
        {"errno", 4, "uint", "why, an error number (section 9)"},
    },
    [19] = {"DATA",
        {"offset", 8, "uint", "how many bytes of this channel were sent before"},
        {"payload", 0, "payload", "the bytes"},
    },
    [20] = {"CREDIT",
        {"limit", 8, "uint", "absolute offset that the sender must not pass; never lower than before"},
    },
    [21] = {"FIN",
        {"offset", 8, "uint", "how many bytes were sent on this channel"},
    },
    [22] = {"RESET",
        {"errno", 4, "uint", "why, an error number (section 9); 0: nobody reads any more"},
    },
    [23] = {"RELEASED",
        {"offset", 8, "uint", "how many bytes of this channel the sender of this message had delivered (receiving end) or sent (sending end)"},
    },
}
-- end messages

local HEADER, SEAL, PAD, MAGIC_1, MAGIC_2 = 12, 16, 0x16, 0xB5, 0x56
local HELLO = 1

local vpcbus = Proto("vpcbus", "VPCBus")
local from_flags, interface, comment = Field.new("frame.packet_flags_direction"), Field.new("frame.interface_name"), Field.new("frame.comment")

local names = {}
for number, message in pairs(messages) do
    names[number] = message[1]
end

local f = {
    magic = ProtoField.bytes("vpcbus.magic", "Magic"),
    type = ProtoField.uint8("vpcbus.type", "Type", base.DEC, names),
    flags = ProtoField.uint8("vpcbus.flags", "Flags", base.HEX),
    channel = ProtoField.uint32("vpcbus.channel", "Channel"),
    length = ProtoField.uint32("vpcbus.length", "Length"),
    session = ProtoField.uint64("vpcbus.session", "Session", base.HEX),
    number = ProtoField.uint64("vpcbus.number", "Number", base.DEC),
    crc = ProtoField.uint64("vpcbus.crc", "CRC-32C", base.HEX),
    padding = ProtoField.uint32("vpcbus.padding", "Padding", base.DEC, nil, nil, "Octets of the run"),
    other = ProtoField.bytes("vpcbus.other", "No frame"),
}
local wrong_crc = ProtoExpert.new("vpcbus.crc.wrong", "The CRC does not fit", expert.group.CHECKSUM, expert.severity.ERROR)
local no_frame = ProtoExpert.new("vpcbus.no_frame", "Octets that are no frame", expert.group.MALFORMED, expert.severity.WARN)

local makers = {
    [1] = function(...) return ProtoField.uint8(...) end,
    [2] = function(...) return ProtoField.uint16(...) end,
    [4] = function(...) return ProtoField.uint32(...) end,
    [8] = function(...) return ProtoField.uint64(...) end,
}

local function make_field(message, field)
    local name, size, kind, doc, values = table.unpack(field)
    local filter = ("vpcbus.%s.%s"):format(message:lower(), name)
    if kind == "text" then
        return ProtoField.string(filter, name, base.ASCII, doc)
    elseif kind == "uint" then
        local form = size == 8 and (name == "epoch" or name == "echo") and base.HEX or base.DEC
        return makers[size](filter, name, form, values, nil, doc)
    end
    return ProtoField.bytes(filter, name, base.NONE, doc)
end

local all = {}
for _, field in pairs(f) do
    all[#all + 1] = field
end
for _, message in pairs(messages) do
    for i = 2, #message do
        message[i].field = make_field(message[1], message[i])
        all[#all + 1] = message[i].field
    end
end
vpcbus.fields = all
vpcbus.experts = {wrong_crc, no_frame}

local bits = bit32 or bit
local crc_table = {}
for i = 0, 255 do
    local c = i
    for _ = 1, 8 do
        c = bits.bxor(bits.rshift(c, 1), bits.band(c, 1) == 1 and 0x82F63B78 or 0)
    end
    crc_table[i] = c
end

local function crc32c(octets)
    local c = 0xFFFFFFFF
    for i = 0, octets:len() - 1 do
        c = bits.bxor(bits.rshift(c, 8), crc_table[bits.band(bits.bxor(c, octets:get_index(i)), 0xFF)])
    end
    return bits.band(bits.bxor(c, 0xFFFFFFFF), 0xFFFFFFFF) % 0x100000000
end

-- "host to guest", "guest to host", or nil when the trace does not tell.
local function direction()
    local flags, name = from_flags(), interface()
    if not flags or not name or flags.value == 0 then
        return nil
    end
    local at_host = tostring(name.value):find("host", 1, true) ~= nil
    if (flags.value == 2) == at_host then
        return "host", "guest"
    end
    return "guest", "host"
end

local function value_text(field, range)
    local size, kind = field[2], field[3]
    if kind == "text" then
        return '"' .. range:stringz() .. '"'
    elseif size == 8 then
        return tostring(range:le_uint64())
    end
    local value = range:le_uint()
    return field[5] and field[5][value] or tostring(value)
end

local function dissect_body(body, message, tree)
    local texts, at = {}, 0
    for i = 2, #message do
        local field = message[i]
        local size = field[2] > 0 and field[2] or body:len() - at
        if at + size > body:len() then
            return nil
        end
        local range = body(at, size)
        if field[3] == "uint" then
            tree:add_le(field.field, range)
        else
            tree:add(field.field, range)
        end
        if field[3] == "payload" then
            texts[#texts + 1] = ("%d octets"):format(size)
        elseif field[3] ~= "zero" and not (field[3] == "text" and range:stringz() == "") then
            texts[#texts + 1] = ("%s=%s"):format(field[1], value_text(field, range))
        end
        at = at + size
    end
    return at == body:len() and table.concat(texts, " ") or nil
end

local function dissect_seal(tvb, length, tree)
    local seal = tvb(HEADER + length, SEAL)
    tree:add_le(f.session, seal(0, 8))
    if tvb(2, 1):uint() ~= HELLO then
        tree:add_le(f.number, seal(8, 8))
        return
    end
    local item = tree:add_le(f.crc, seal(8, 8))
    local want = crc32c(tvb(0, HEADER + length):bytes())
    if seal(8, 4):le_uint() ~= want or seal(12, 4):le_uint() ~= 0 then
        item:add_proto_expert_info(wrong_crc)
    end
end

-- The text for the Info column, or nil: these octets are no frame.
local function dissect_frame(tvb, tree)
    if tvb:len() < HEADER + SEAL or tvb(0, 1):uint() ~= MAGIC_1 or tvb(1, 1):uint() ~= MAGIC_2 then
        return nil
    end
    local message, length = messages[tvb(2, 1):uint()], tvb(8, 4):le_uint()
    if not message or tvb:len() ~= HEADER + length + SEAL then
        return nil
    end
    tree:add(f.magic, tvb(0, 2))
    tree:add(f.type, tvb(2, 1))
    tree:add(f.flags, tvb(3, 1))
    tree:add_le(f.channel, tvb(4, 4))
    tree:add_le(f.length, tvb(8, 4))
    local channel, text = tvb(4, 4):le_uint(), dissect_body(tvb(HEADER, length), message, tree)
    if not text then
        return nil
    end
    dissect_seal(tvb, length, tree)
    return channel > 0 and ("%s %d  %s"):format(message[1], channel, text) or ("%s  %s"):format(message[1], text)
end

function vpcbus.dissector(tvb, pinfo, root)
    local from, to = direction()
    pinfo.cols.protocol = "VPCBus"
    if from then
        pinfo.cols.src, pinfo.cols.dst = from, to
    end
    if tvb:reported_len() == 0 then
        local entry = comment()
        pinfo.cols.info = "log  " .. (entry and tostring(entry.value) or "")
        return 0
    end
    local tree = root:add(vpcbus, tvb())
    if tvb(0, 1):uint() == PAD then
        tree:add(f.padding, tvb(), tvb:reported_len())
        pinfo.cols.info = ("padding  %d octets"):format(tvb:reported_len())
        return tvb:len()
    end
    local text = dissect_frame(tvb, tree)
    if not text then
        tree:add(f.other, tvb()):add_proto_expert_info(no_frame)
        text = ("no frame  %d octets"):format(tvb:len())
    end
    pinfo.cols.info = text
    return tvb:len()
end

DissectorTable.get("wtap_encap"):add(wtap.USER0, vpcbus)
