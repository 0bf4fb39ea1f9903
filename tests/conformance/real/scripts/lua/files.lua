-- SPDX-License-Identifier: Apache-2.0
-- The io and os libraries: files in every mode, seeking, buffers, errors, dates, environment.
local name = os.tmpname()
print(name:match("^/tmp/lua_%w+$") ~= nil)
local file <close> = assert(io.open(name, "w+"))
print(file:setvbuf("full", 4096), io.type(file), io.type(42))
for i = 1, 5000 do
    file:write(i, " ", i * i, "\n")
end
print(file:seek("cur"), file:seek("set", 10), file:read("n", "n", "l"), file:seek("end"))
file:seek("set")
local sum, lines = 0, 0
for a, b in file:lines("n", "n") do
    sum, lines = sum + b - a, lines + 1
end
print(sum, lines)
file:seek("set", 100000)
file:write("beyond")
print(file:seek("end", 0), file:seek("set", 99990), file:read(4), file:read("a"), file:read("a"), file:read("l"))
print(file:close(), pcall(file.read, file), io.type(file))

print(select(2, io.open("/no/such/file")))
print(io.open("/data/nothing", "r"))
print(pcall(io.lines, "/no"))
print(os.rename(name, name .. ".moved"), (os.remove(name)))
print(os.remove(name .. ".moved"), (os.remove(name .. ".moved")))
print(pcall(os.tmpname) == true, os.remove("/tmp/lua_dir"))

local append = assert(io.open("log.txt", "a"))
append:write("one\n", "two\n")
append:close()
append = assert(io.open("log.txt", "a+"))
append:write("three\n")
append:seek("set")
print(append:read("a"))
append:close()
io.output("out.txt"):write(string.rep("0123456789", 10000))
io.close()
io.output(io.stdout)
print(#io.open("out.txt", "rb"):read("a"))
for line in io.lines("words.txt") do
    io.stdout:write("<", line, ">")
end
print()

print(os.date("!%Y-%m-%d %H:%M:%S %a %b %j", 1000000000), os.time({year = 2001, month = 9, day = 9, hour = 12}))
print(os.date("!*t", 86400 * 365).yday, os.difftime(5, 3), os.getenv("HOME"), os.getenv("NOTHING"))
print(os.clock() >= 0, os.time() > 1600000000, os.setlocale(), os.setlocale("no_SUCH"))
print(os.execute() and "shell" or "no shell")
while true do
    local line = io.read("L")
    if not line then
        break
    end
    io.write("in: ", line)
end
io.stderr:write("to standard error\n")
os.exit(3, true)
