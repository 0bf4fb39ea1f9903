-- SPDX-License-Identifier: Apache-2.0
-- The collector: weak tables, finalizers, both modes, and memory that comes and goes.
local weak = setmetatable({}, {__mode = "k"})
local kept = {}
for i = 1, 1000 do
    local key = {}
    weak[key] = i
    if i % 10 == 0 then
        kept[#kept + 1] = key
    end
end
collectgarbage()
local count = 0
for _ in pairs(weak) do
    count = count + 1
end
print("weak keys left", count, #kept)

local order = {}
for i = 1, 5 do
    setmetatable({}, {__gc = function() order[#order + 1] = i end})
end
collectgarbage()
print("finalizers", table.concat(order, " "))

for _, mode in ipairs({"generational", "incremental"}) do
    collectgarbage(mode)
    local sum = 0
    for round = 1, 40 do
        local list = {}
        for i = 1, 2000 do
            list[i] = {value = i, text = ("n%d"):format(i)}
        end
        for i = 1, #list, 7 do
            sum = sum + list[i].value + #list[i].text
        end
    end
    print(mode, sum)
end

local before = collectgarbage("count")
local big = {}
for i = 1, 40 do
    big[i] = string.rep(string.char(64 + i), 200000)
end
print("grew", collectgarbage("count") - before > 7000)
print("ends", big[1]:sub(1, 3), big[40]:byte(-1))
big = nil
collectgarbage()
print("shrank", collectgarbage("count") - before < 1000)
