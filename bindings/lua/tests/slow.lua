-- What takes long: 200 MB of text, and the default timeout.

local support = require "support"
local network, test, equal = support.network, support.test, support.equal

support.configure()

-- 210 MB of UTF-8, and as much in ISO-8859-1, which becomes more.
local text = support.reply({ "Content-Type: text/plain; charset=utf-8", body = "gr\195\188\195\159e", times = 3e7 })
local latin = support.reply({ "Content-Type: text/plain; charset=ISO-8859-1", body = "gr\252\223e", times = 4.2e7 })

--- The program's greatest memory so far, in MB, on Linux.
local peak = [[
    local function peak()
        return tonumber(support.read_file("/proc/self/status"):match("VmHWM:%s*(%d+)")) / 1024
    end
]]

test("200 MB of text are refused by the default limit", function()
    support.failed(support.fetch(support.url(text)), "64 MiB")
    support.failed(support.fetch(support.url(latin)), "64 MiB")
end)

test("200 MB of text are accepted with maxBodyBytes", function()
    -- Once in the library, once in Lua; what is decoded grows by doubling.
    for path, case in pairs({ [text] = { 210000000, 2.5e-6 }, [latin] = { 294000000, 3.5e-6 } }) do
        local size, megabytes = case[1], case[2]
        local output, status = support.run_piece(peak .. [[
            support.configure({ maxBodyBytes = 2 ^ 30 })
            local event = support.fetch_fine(arg[1])
            print(#event.response, event.responseType, event.response:sub(-7) == "gr\195\188\195\159e")
            print(peak() < arg[2] * arg[3] or peak())
        ]], support.url(path), size, megabytes)
        equal(output, size .. "\ttext\ttrue\ntrue\n")
        equal(status, 0)
    end
end)

test("maxBodyBytes may be that of one request", function()
    local event = support.fetch(support.url(text), "GET", { maxBodyBytes = 2 ^ 30 })
    equal(event.isError, false)
    equal(#event.response, 210000000)
end)

test("200 MB are sent without a copy", function()
    local output = support.run_piece(peak .. [[
        support.configure()
        local body = ("x"):rep(210000000)
        collectgarbage()
        -- Forgets the peak so far: that of making the body.
        local file = assert(io.open("/proc/self/clear_refs", "w"))
        file:write("5")
        file:close()
        local before = peak()
        local event = support.fetch_fine(arg[1], "POST", { body = body, bodyType = "binary" })
        print(event.response:match("^%d+"), peak() - before < 100 or peak() - before)
    ]], support.url("/upload"))
    equal(output, "210000000\ttrue\n")
end)

test("timeout is 30 seconds by default", function()
    local started = os.time()
    support.deadline = support.deadline + 60
    support.failed(support.fetch(support.url("/stall-headers")), "30")
    support.deadline = support.deadline - 60
    local took = os.time() - started
    assert(took >= 29 and took < 45, "took " .. took .. " s")
end)
