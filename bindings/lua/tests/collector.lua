-- Garbage collection at any moment, and what is kept for how long.

local support = require "support"
local network, test, equal = support.network, support.test, support.equal

support.configure()

--- A bit of everything: requests that succeed, fail, are refused, cancelled, go to files, tell of progress, throw.
local function exercise()
    local ended, wanted = 0, 0
    local function want(url, method, params)
        wanted = wanted + 1
        return network.request(url, method, function(event)
            if event.phase == "ended" then
                ended = ended + 1
            end
            local _ = event.responseHeaders and event.responseHeaders["content-type"]
        end, params)
    end
    want(support.url("/bytes/1000"), "GET")
    want(support.url("/gzip?bytes=10000"), "GET", { progress = "download" })
    want(support.url("/echo"), "POST", { body = ("text"):rep(100), progress = "upload", headers = { A = 1, B = true } })
    want(support.url("/bytes/1000"), "GET", { response = { filename = "collected" } })
    want(support.url("/upload"), "PUT", { body = { filename = "source" } })
    want(support.url("/headers?a=1&a=2&Set-Cookie=a&Set-Cookie=b"), "GET", { debug = true })
    want(support.url("/truncate"), "GET")
    want("ftp://127.0.0.1/", "GET")
    want(support.url("/bytes/1"), "GET", { headers = { A = {} } })
    network.cancel(network.request(support.url("/gate/never"), "GET", print))
    network.request(support.url("/bytes/1"), "GET", function()
        error("thrown by the test")
    end)
    pcall(network.request, nil)
    pcall(network.request, support.url("/"), "GET", {})
    support.wait_for(function()
        return ended == wanted and #support.errors > 0
    end)
    support.errors = {}
end

test("collecting a step at every instruction does no harm", function()
    support.write_file(support.path("source"), "content")
    if jit then
        jit.off()
    end
    local count = 0
    debug.sethook(function()
        count = count + 1
        collectgarbage("step")
    end, "", 1)
    exercise()
    debug.sethook()
    assert(count > 100, "only " .. count .. " steps")
    support.settle()
    if jit then
        jit.on()
    end
end)

test("collecting everything every few instructions does no harm", function()
    support.write_file(support.path("source"), "content")
    debug.sethook(function()
        collectgarbage()
    end, "", 97)
    exercise()
    debug.sethook()
    support.settle()
end)

test("collecting eagerly does no harm", function()
    support.write_file(support.path("source"), "content")
    local pause, step = collectgarbage("setpause", 0), collectgarbage("setstepmul", 10000)
    for _ = 1, 3 do
        exercise()
    end
    collectgarbage("setpause", pause)
    collectgarbage("setstepmul", step)
    support.settle()
end)

if support.only_list or _VERSION == "Lua 5.4" then
    test("generational collection does no harm", function()
        support.write_file(support.path("source"), "content")
        collectgarbage("generational")
        for _ = 1, 5 do
            exercise()
            collectgarbage("step")
        end
        collectgarbage("incremental")
        support.settle()
    end)
end

test("listener is kept until its last event", function()
    local gate = support.unique("gate")
    local heard
    network.request(support.url("/gate/" .. gate), "GET", function()
        heard = true
    end)
    collectgarbage()
    collectgarbage()
    equal(support.fetch_fine(support.url("/waiting/" .. gate)).status, 204)
    collectgarbage()
    support.fetch_fine(support.url("/open/" .. gate))
    support.wait_for(function()
        return heard
    end)
end)

test("body is kept until it has been sent", function()
    local gate, size = support.unique("gate"), 30000000
    local events = {}
    -- Nobody but the request has the body.
    network.request(support.url("/upload-held/" .. gate .. "?read=1000"), "POST", function(event)
        events[#events + 1] = event
    end, { body = ("0123456789"):rep(size / 10), bodyType = "binary" })
    equal(support.fetch_fine(support.url("/waiting/" .. gate)).status, 204)
    collectgarbage()
    collectgarbage()
    support.fetch_fine(support.url("/open/" .. gate))
    local summary = support.wait_ended(events).response
    equal(summary:match("^%d+"), tostring(size))
    equal(support.fetch_fine(support.url("/upload"), "POST",
        { body = ("0123456789"):rep(size / 10), bodyType = "binary" }).response, summary)
end)

test("body is let go once the request has ended", function()
    local size = 20000000
    local function post(path)
        return network.request(support.url(path), "POST", function() end,
            { body = ("x"):rep(size), bodyType = "binary" })
    end
    collectgarbage()
    collectgarbage()
    local before = collectgarbage("count")
    local ended, cancelled = post("/upload"), post("/upload-held/" .. support.unique("gate"))
    network.cancel(cancelled)
    support.settle()
    collectgarbage()
    collectgarbage()
    local grown = collectgarbage("count") - before
    assert(grown < size / 1024 / 2, "grew by " .. grown .. " KiB")
    assert(ended ~= cancelled)
end)

--- A weak table with a listener, its handle and its event.
local function watched(start)
    local weak = setmetatable({}, { __mode = "v" })
    do
        local ballast = {}
        weak.ballast = ballast
        start(weak, function(event)
            weak.event = event
            weak.headers = event.responseHeaders
            return ballast
        end)
    end
    return weak
end

local function all_gone(weak)
    collectgarbage()
    collectgarbage()
    for name in pairs(weak) do
        error(name .. " is still kept", 2)
    end
end

test("nothing of an ended request is kept", function()
    local weak = watched(function(weak, listener)
        weak.params = { headers = { A = "b" }, progress = "download" }
        weak.handle = network.request(support.url("/bytes/10"), "GET", listener, weak.params)
    end)
    support.settle()
    all_gone(weak)
end)

test("nothing of a refused request is kept", function()
    local weak = watched(function(weak, listener)
        weak.handle = network.request("ftp://127.0.0.1/", "GET", listener)
    end)
    support.settle()
    all_gone(weak)
end)

test("nothing of a cancelled request is kept", function()
    local weak = watched(function(weak, listener)
        weak.handle = network.request(support.url("/gate/never"), "GET", listener)
        equal(network.cancel(weak.handle), true)
    end)
    support.settle()
    all_gone(weak)
end)

test("nothing of a request whose listener threw is kept", function()
    local weak = setmetatable({}, { __mode = "v" })
    do
        local ballast = {}
        weak.ballast = ballast
        network.request(support.url("/bytes/1"), "GET", function()
            error(ballast)
        end)
    end
    support.wait_for(function()
        return #support.errors == 1
    end)
    support.errors = {}
    support.settle()
    all_gone(weak)
end)

test("handle may be kept for ever", function()
    local events, handle = support.start(support.url("/bytes/1"))
    support.wait_ended(events)
    support.handles = {}
    for _ = 1, 20 do
        support.fetch_fine(support.url("/bytes/1"))
        collectgarbage()
    end
    equal(network.cancel(handle), false)
    assert(type(tostring(handle)) == "string")
    assert(handle == events[1].requestId)
end)

test("memory stays level over many requests", function()
    local function round()
        for _ = 1, 200 do
            network.request(support.url("/headers?a=b&c=d"), "GET", function() end)
        end
        support.settle()
        support.handles = {}
        collectgarbage()
        collectgarbage()
        return collectgarbage("count")
    end
    round()
    local before = round()
    for _ = 1, 4 do
        round()
    end
    local grown = round() - before
    assert(grown < 32, "grew by " .. grown .. " KiB")
end)

test("module may be dropped and found again", function()
    local events = support.start(support.url("/bytes/1"))
    package.loaded.network = nil
    collectgarbage()
    local again = require "network"
    support.wait_for(function()
        again.poll()
        return support.ended(events)
    end)
    package.loaded.network = network
end)
