-- The began and progress events.

local support = require "support"
local network, test, equal = support.network, support.test, support.equal

support.configure()

--- Every list of events must be: at most one began and that first, numbers that never go back, one ended and that last.
local function check_order(events)
    local transferred = 0
    for i, event in ipairs(events) do
        equal(event.name, "networkRequest")
        equal(event.phase == "began", i == 1, "place of began")
        equal(event.phase == "ended", i == #events, "place of ended")
        assert(event.bytesTransferred >= transferred, "numbers went back")
        transferred = event.bytesTransferred
    end
end

test("none but ended comes without progress", function()
    local event, events = support.fetch_all(support.url("/bytes/1000000"))
    equal(#events, 1)
    equal(event.phase, "ended")
end)

test("download begins with status, headers and size", function()
    local gate = support.unique("gate")
    local path = "/held/" .. gate .. "?bytes=1000&sent=0"
    local events = support.start(support.url(path), "GET", { progress = "download" })
    support.wait_for(function()
        return #events > 0
    end)
    local began = events[1]
    equal(began.phase, "began")
    equal(began.isError, false)
    equal(began.status, 200)
    equal(began.bytesEstimated, 1000)
    equal(began.bytesTransferred, 0)
    equal(began.responseHeaders["content-length"], "1000")
    equal(began.responseHeaders["HTTP-STATUS-LINE"], "HTTP/1.1 200 OK")
    support.fetch_fine(support.url("/open/" .. gate))
    support.wait_ended(events)
    check_order(events)
end)

test("download makes progress before it ends", function()
    local gate = support.unique("gate")
    local path = "/held/" .. gate .. "?bytes=100000&sent=40000"
    local events = support.start(support.url(path), "GET", { progress = "download" })
    support.wait_for(function()
        return #events > 0 and events[#events].bytesTransferred == 40000
    end, "40,000 bytes")
    local event = events[#events]
    equal(event.phase, "progress")
    equal(event.bytesEstimated, 100000)
    equal(event.isError, false)
    equal(support.ended(events), nil)
    support.fetch_fine(support.url("/open/" .. gate))
    equal(support.wait_ended(events).bytesTransferred, 100000)
    check_order(events)
    equal(support.phases(events), "began progress ended")
end)

test("size of a download may be unknown", function()
    local gate = support.unique("gate")
    local path = "/held/" .. gate .. "?bytes=1000&sent=400&chunked=1"
    local events = support.start(support.url(path), "GET", { progress = "download" })
    support.wait_for(function()
        return #events > 0 and events[#events].bytesTransferred == 400
    end)
    support.fetch_fine(support.url("/open/" .. gate))
    support.wait_ended(events)
    for _, event in ipairs(events) do
        equal(event.bytesEstimated, -1, event.phase)
    end
    check_order(events)
end)

test("compressed download counts bytes on the wire", function()
    local event, events = support.fetch_all(support.url("/gzip?bytes=300000"), "GET", { progress = "download" })
    local wire = tonumber(event.responseHeaders["content-length"])
    equal(events[1].bytesEstimated, wire)
    equal(event.bytesTransferred, wire)
    equal(#event.response, 300000)
    check_order(events)
end)

test("transfer that finishes between two polls still begins", function()
    for _, direction in ipairs({ "download", "upload" }) do
        local events = support.start(support.url("/echo"), "POST", { progress = direction, body = ("x"):rep(1000) })
        local limit = os.time() + support.deadline
        while network.stats().undrained < 1 do
            assert(os.time() < limit)
        end
        network.poll()
        support.wait_ended(events)
        equal(events[1].phase, "began", direction)
        check_order(events)
    end
end)

test("at most one progress comes per request and poll", function()
    local events = support.start(support.url("/slow?bytes=200000&rate=400000"), "GET", { progress = "download" })
    local limit = os.time() + support.deadline
    while not support.ended(events) do
        assert(os.time() < limit)
        -- Several pieces arrive between two polls.
        network.wait(0.15)
        local before, progress = #events, 0
        network.poll()
        for i = before + 1, #events do
            progress = progress + (events[i].phase == "progress" and 1 or 0)
        end
        assert(progress <= 1, progress .. " progress events in one poll")
    end
    check_order(events)
end)

test("at most one progress comes while a listener dawdles", function()
    local events, in_this_poll = {}, 0
    network.request(support.url("/slow?bytes=150000&rate=300000"), "GET", function(event)
        events[#events + 1] = event
        if event.phase == "progress" then
            in_this_poll = in_this_poll + 1
            assert(in_this_poll == 1, "two progress events in one poll")
            -- The next one is ready before this poll has ended.
            network.wait(support.deadline)
        end
    end, { progress = "download" })
    local limit = os.time() + support.deadline
    while not support.ended(events) do
        assert(os.time() < limit)
        network.wait(0.05)
        in_this_poll = 0
        network.poll()
    end
    assert(#events > 3, #events .. " events")
    check_order(events)
end)

test("upload begins before connecting, with the size of the body", function()
    -- Nobody listens there, so nothing but the start can have told of it.
    local event, events = support.fetch_all("http://127.0.0.1:1/", "POST", { progress = "upload", body = "12345" })
    support.failed(event)
    equal(support.phases(events), "began ended")
    equal(events[1].bytesEstimated, 5)
    equal(events[1].bytesTransferred, 0)
    equal(events[1].isError, false)
end)

test("upload makes progress before it ends", function()
    local gate = support.unique("gate")
    -- More than the buffers of both ends hold.
    local size = 30000000
    local events = support.start(support.url("/upload-held/" .. gate .. "?read=1000000"), "POST",
        { progress = "upload", body = ("x"):rep(size), bodyType = "binary" })
    support.wait_for(function()
        return #events > 0 and events[#events].bytesTransferred >= 1000000
    end)
    equal(events[#events].phase, "progress")
    equal(events[#events].bytesEstimated, size)
    assert(events[#events].bytesTransferred < size)
    equal(support.ended(events), nil)
    support.fetch_fine(support.url("/open/" .. gate))
    local event = support.wait_ended(events)
    equal(event.bytesTransferred, size)
    equal(event.bytesEstimated, size)
    equal(event.response:match("^%d+"), tostring(size))
    check_order(events)
end)

test("upload of a file tells its size", function()
    local name = support.unique("file")
    support.write_file(support.path(name), ("x"):rep(123456))
    local event, events = support.fetch_all(support.url("/upload"), "PUT",
        { progress = "upload", body = { filename = name } })
    equal(events[1].phase, "began")
    equal(events[1].bytesEstimated, 123456)
    equal(event.bytesTransferred, 123456)
    check_order(events)
end)

test("upload without a body is of size 0", function()
    local event, events = support.fetch_all(support.url("/method"), "POST", { progress = "upload" })
    equal(events[1].phase, "began")
    equal(events[1].bytesEstimated, 0)
    equal(event.bytesEstimated, 0)
end)

test("download that fails before its headers does not begin", function()
    local event, events = support.fetch_all("http://127.0.0.1:1/", "GET", { progress = "download" })
    support.failed(event)
    equal(#events, 1)
end)

test("download that breaks off has begun", function()
    local event, events = support.fetch_all(support.url("/truncate?declared=100000"), "GET", { progress = "download" })
    support.failed(event)
    equal(events[1].phase, "began")
    equal(events[1].status, 200)
    equal(events[1].bytesEstimated, 100000)
end)

test("redirects do not begin anything", function()
    local _, events = support.fetch_all(support.url("/redirect/3"), "GET", { progress = "download" })
    equal(events[1].status, 200)
    check_order(events)
end)

test("progress of a download to a file", function()
    local _, events = support.fetch_all(support.url("/bytes/500000"), "GET",
        { progress = "download", response = { filename = support.unique("file") } })
    equal(events[1].phase, "began")
    equal(events[1].bytesEstimated, 500000)
    equal(events[#events].bytesTransferred, 500000)
    equal(type(events[#events].response), "table")
    check_order(events)
end)

test("progress may be nil or false", function()
    local _, events = support.fetch_all(support.url("/bytes/10"), "GET", { progress = nil })
    equal(#events, 1)
end)
