-- SPDX-License-Identifier: Apache-2.0
-- Strings, patterns, packing, UTF-8, numbers and sorting: a word count of a generated text at the end.
print(("%5.2f|%-8s|%08.3e|%x|%q|%a"):format(3.14159, "left", 12345.678, 48879, "a\n\"b\"\0", 1.5))
print(("key = value ; other=  thing"):gsub("(%w+)%s*=%s*(%w+)", "%2->%1"))
for year, month in ("2021-03 1999-12 20-1"):gmatch("(%d%d%d%d)-(%d%d)") do
    io.write(month, "/", year, " ")
end
print(("THE (quick) fox"):find("%((%a+)%)"), ("f(a(b)c)d"):match("%b()"))
print(string.pack("<i4 z s2 d", -5, "zero", "counted", 0.1):gsub(".", function(c)
    return ("%02x"):format(c:byte())
end))
print(string.unpack(">I2 <I2", "\1\2\1\2"))
for position, code in utf8.codes("aß€😀") do
    io.write(position, ":", code, " ")
end
print(utf8.len("aß€😀"), utf8.char(0x4e2d, 0x6587))
print(math.maxinteger // -1, 7 // -2, 7 % -3, 2^53 == 2^53 + 1, 1 / 0, -1 / 0, math.tointeger("8"))
print(0x7fffffffffffffff + 1 == math.mininteger, 3 | 4, 5 ~ 1, ~0, 1 << 63, "10" + 5, 10 .. 20)
print(math.sin(1), math.exp(2), math.log(10, 2), math.fmod(-7, 3), math.ult(1, -1))
print(tostring(1e15), 1e100, 2^63, -0.0, 100 // 1e-320)

local seed = 42
local function random(limit)
    seed = (seed * 1103515245 + 12345) % 2147483648
    return seed // 65536 % limit
end
local words, counts = {"core", "island", "message", "frame", "gate", "tide", "reef", "lagoon"}, {}
local text = {}
for _ = 1, 20000 do
    text[#text + 1] = words[random(#words) + 1] .. random(30)
end
for word in table.concat(text, " "):gmatch("%a+%d+") do
    counts[word] = (counts[word] or 0) + 1
end
local sorted = {}
for word, count in pairs(counts) do
    sorted[#sorted + 1] = {word = word, count = count}
end
table.sort(sorted, function(a, b)
    return a.count > b.count or a.count == b.count and a.word < b.word
end)
for i = 1, 20 do
    print(sorted[i].count, sorted[i].word)
end
