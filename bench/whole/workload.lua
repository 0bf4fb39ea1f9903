-- SPDX-License-Identifier: Apache-2.0
-- Work for the interpreter: calls, tables, strings, closures, and garbage for its collector.
local function fibonacci(n)
    return n < 2 and n or fibonacci(n - 1) + fibonacci(n - 2)
end

local function sieve(limit)
    local composite, count = {}, 0
    for i = 2, limit do
        if not composite[i] then
            count = count + 1
            for j = i * i, limit, i do
                composite[j] = true
            end
        end
    end
    return count
end

local function words(count)
    local seen, text = {}, {}
    for i = 1, count do
        text[#text + 1] = string.format("%x-%d", i * 7919 % 1000, i % 97)
    end
    for word in table.concat(text, " "):gmatch("%S+") do
        seen[word] = (seen[word] or 0) + 1
    end
    local keys = {}
    for word in pairs(seen) do
        keys[#keys + 1] = word
    end
    table.sort(keys)
    return #keys
end

local function tree(depth)
    return depth == 0 and {} or { tree(depth - 1), tree(depth - 1) }
end

assert(fibonacci(22) == 17711)
assert(sieve(50000) == 5133)
assert(words(10000) > 1000)
for _ = 1, 10 do
    assert(#tree(10) == 2)
end
collectgarbage()
print("done")
