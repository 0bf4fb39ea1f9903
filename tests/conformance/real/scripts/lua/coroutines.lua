-- SPDX-License-Identifier: Apache-2.0
-- Coroutines: generators, errors across them, closing, many at once, and a deep C stack.
local function permutations(list)
    local function walk(n)
        if n == 0 then
            coroutine.yield(table.concat(list, " "))
        end
        for i = 1, n do
            list[i], list[n] = list[n], list[i]
            walk(n - 1)
            list[i], list[n] = list[n], list[i]
        end
    end
    return coroutine.wrap(function() walk(#list) end)
end
for line in permutations({"a", "b", "c", "d"}) do
    print(line)
end

local broken = coroutine.create(function()
    local guard <close> = setmetatable({}, {__close = function(_, why) print("closed", type(why)) end})
    coroutine.yield("first")
    error({code = 7})
end)
print(coroutine.resume(broken))
local ok, why = coroutine.resume(broken)
print(ok, type(why), why.code, coroutine.status(broken))
print(coroutine.close(broken), coroutine.resume(broken))

-- A ring of a thousand coroutines passes one number around.
local ring = {}
for i = 1, 1000 do
    ring[i] = coroutine.wrap(function(value)
        while true do
            value = coroutine.yield((value * 31 + i) % 1000003)
        end
    end)
end
local value = 1
for _ = 1, 20 do
    for i = 1, #ring do
        value = ring[i](value)
    end
end
print("ring", value)

local function depth(n)
    return select(2, pcall(function() return n < 150 and depth(n + 1) or n end))
end
print("pcalls in each other", depth(1))
print(pcall(string.rep, "x", -1), select("#", table.unpack({}, 1, 200)))
local function endless() return 1 + endless() end
print("endless recursion", (pcall(endless)))
