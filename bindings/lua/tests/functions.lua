-- The functions of the library: what they take, give and do.

local support = require "support"
local network, test, equal = support.network, support.test, support.equal

support.configure()

test("request gives a handle and one ended event", function()
    local events, handle = support.start(support.url("/bytes/10"))
    assert(handle ~= nil, "no handle")
    local event = support.wait_ended(events)
    equal(#events, 1, "events")
    equal(event.phase, "ended", "phase")
    equal(event.status, 200, "status")
    equal(#event.response, 10, "length")
end)

test("listeners run in poll and nowhere else", function()
    local events = support.start(support.url("/bytes/10"))
    equal(network.wait(support.deadline), true, "wait")
    equal(#events, 0, "events before poll")
    equal(network.poll(), 1, "poll")
    equal(#events, 1, "events after poll")
    equal(network.poll(), 0, "poll without events")
end)

test("listeners run on the coroutine that polls", function()
    local current
    network.request(support.url("/bytes/1"), "GET", function()
        current = coroutine.running()
    end)
    network.wait(support.deadline)
    local thread = coroutine.create(function()
        return network.poll()
    end)
    local fine, count = coroutine.resume(thread)
    assert(fine, count)
    equal(count, 1, "poll")
    equal(current, thread, "coroutine")
end)

test("request made in a coroutine that is gone is delivered", function()
    local events = {}
    coroutine.resume(coroutine.create(function()
        network.request(support.url("/bytes/1"), "GET", function(event)
            events[1] = event
        end)
    end))
    collectgarbage()
    equal(support.wait_ended(events).status, 200)
end)

test("listener may be a table with a method", function()
    local listener = { events = {} }
    function listener:networkRequest(event)
        equal(self, listener, "self")
        self.events[#self.events + 1] = event
    end
    network.request(support.url("/bytes/3"), "GET", listener)
    equal(support.wait_ended(listener.events).response:len(), 3)
end)

test("table listener may inherit its method", function()
    local seen
    local class = { networkRequest = function(self, event)
        seen = { self, event }
    end }
    local listener = setmetatable({}, { __index = class })
    network.request(support.url("/bytes/3"), "GET", listener)
    support.wait_for(function()
        return seen
    end)
    equal(seen[1], listener, "self")
    equal(seen[2].status, 200)
end)

test("listener may be left out", function()
    local path = "/" .. support.unique("unheard")
    support.stub(path, {})
    network.request(support.url(path), "GET")
    support.settle()
    equal(support.last(path).count, 1)
end)

test("method defaults to GET", function()
    equal(support.fetch_fine(support.url("/method"), nil).response, "GET")
    local events = {}
    network.request(support.url("/method"), nil, function(event)
        events[1] = event
    end)
    equal(support.wait_ended(events).response, "GET")
end)

test("known methods are sent in upper case without a warning", function()
    for _, method in ipairs({ "GET", "POST", "PUT", "DELETE", "PATCH", "get", "Post", "delete" }) do
        equal(support.fetch_fine(support.url("/method"), method).response, method:upper())
    end
    local path = "/" .. support.unique("head")
    support.fetch_fine(support.url(path), "head")
    equal(support.last(path).line, "HEAD " .. path .. " HTTP/1.1")
    equal(#support.warnings, 0, "warnings")
end)

test("another method is sent with one warning", function()
    equal(support.fetch_fine(support.url("/method"), "PURGE").response, "PURGE")
    equal(#support.warnings, 1, "warnings after the first")
    support.contains(tostring(support.warnings[1][1]), "PURGE")
    equal(support.fetch_fine(support.url("/method"), "PURGE").response, "PURGE")
    equal(#support.warnings, 1, "warnings after the second")
    equal(support.fetch_fine(support.url("/method"), "REPORT").response, "REPORT")
    equal(#support.warnings, 2, "warnings after another method")
end)

test("method that is no token is an error", function()
    support.failed(support.fetch(support.url("/method"), "NO GOOD"), "method")
    support.failed(support.fetch(support.url("/method"), ""), "method")
end)

test("url that cannot be requested is an error", function()
    for _, url in ipairs({ "", "http://", "no url", "ftp://127.0.0.1/", "file:///etc/passwd", "/relative" }) do
        local event = support.fetch(url)
        support.failed(event)
        equal(event.url, url, "url")
    end
end)

test("refused request tells its listener in poll, not before", function()
    local events, handle = support.start("ftp://127.0.0.1/")
    equal(#events, 0, "events before poll")
    assert(handle ~= nil, "no handle")
    equal(network.poll(), 1, "poll")
    equal(events[1].requestId, handle, "requestId")
    support.failed(events[1])
end)

-- download ----------------------------------------

--- Calls network.download and waits for its end.
local function download(...)
    local events = {}
    local words, count = { ... }, select("#", ...)
    words[3] = function(event)
        events[#events + 1] = event
    end
    network.download((table.unpack or unpack)(words, 1, count))
    return support.wait_ended(events), events
end

test("download writes a file in the documents directory", function()
    local name = support.unique("file")
    local event, events = download(support.url("/bytes/1000"), "GET", nil, name)
    equal(event.isError, false, "isError")
    equal(#events, 1, "events")
    equal(#support.read_file(support.path(name)), 1000, "length")
end)

test("download takes a base directory", function()
    local name = support.unique("file")
    local event = download(support.url("/bytes/7"), "GET", nil, name, network.CachesDirectory)
    equal(event.response.baseDirectory, network.CachesDirectory)
    equal(#support.read_file(support.path(name, "caches")), 7)
end)

test("download takes params before the file name", function()
    local name, path = support.unique("file"), "/" .. support.unique("path")
    support.stub(path, { body = "stub" })
    download(support.url(path), "GET", nil, { headers = { ["X-A"] = "b" } }, name, network.TemporaryDirectory)
    equal(support.last(path).headers["x-a"], "b")
    equal(support.read_file(support.path(name, "temporary")), "stub")
end)

test("download takes nil for params", function()
    local name = support.unique("file")
    download(support.url("/bytes/5"), "GET", nil, nil, name)
    equal(#support.read_file(support.path(name)), 5)
end)

test("download with progress = true tells of the download", function()
    local _, events = download(support.url("/bytes/100000"), "GET", nil, { progress = true }, support.unique("file"))
    support.contains(support.phases(events), "began")
    equal(events[1].bytesEstimated, 100000)
end)

test("download and upload leave params as they are", function()
    local name = support.unique("file")
    local params = { progress = true, headers = { A = "b" } }
    download(support.url("/bytes/5"), "GET", nil, params, name)
    local events = {}
    network.upload(support.url("/upload"), "PUT", function(event)
        events[#events + 1] = event
    end, params, name, nil, "text/plain")
    support.wait_ended(events)
    local keys = {}
    for key in pairs(params) do
        keys[#keys + 1] = key
    end
    table.sort(keys)
    equal(table.concat(keys, " "), "headers progress")
    equal(params.progress, true)
    equal(next(params.headers), "A")
    equal(next(params.headers, "A"), nil)
end)

-- upload ----------------------------------------

--- Calls network.upload for a file of 5 bytes; gives what the server saw and all events.
local function upload(method, ...)
    local path, name, events = "/" .. support.unique("up"), support.unique("file"), {}
    support.stub(path, { body = "thanks" })
    local words, count = { ... }, select("#", ...)
    local base = "documents"
    for i = 1, count do
        if words[i] == "FILE" then
            words[i] = name
        elseif words[i] == network.CachesDirectory then
            base = "caches"
        end
    end
    support.write_file(support.path(name, base), "12345")
    network.upload(support.url(path), method, function(event)
        events[#events + 1] = event
    end, (table.unpack or unpack)(words, 1, count))
    local event = support.wait_ended(events)
    assert(not event.isError, event.isError and event.response)
    local seen = support.last(path)
    equal(seen.body, "12345", "body")
    return seen, events
end

test("upload sends a file with POST unless told otherwise", function()
    local seen = upload(nil, "FILE")
    equal(seen.line:match("^%S+"), "POST")
    equal(seen.headers["content-type"], "application/octet-stream")
    equal(seen.headers["content-length"], "5")
    equal(upload("PUT", "FILE").line:match("^%S+"), "PUT")
end)

test("upload takes a base directory and a content type", function()
    equal(upload("PUT", "FILE", network.CachesDirectory).headers["content-type"], "application/octet-stream")
    equal(upload("PUT", "FILE", network.CachesDirectory, "image/png").headers["content-type"], "image/png")
    equal(upload("PUT", "FILE", nil, "image/png").headers["content-type"], "image/png")
end)

test("upload takes a content type in place of the base directory", function()
    equal(upload("PUT", "FILE", "image/jpeg").headers["content-type"], "image/jpeg")
end)

test("upload takes params before the file name", function()
    local seen = upload("PUT", { headers = { ["X-A"] = "b" } }, "FILE", network.CachesDirectory, "image/png")
    equal(seen.headers["x-a"], "b")
    equal(seen.headers["content-type"], "image/png")
    equal(upload("PUT", nil, "FILE", "image/jpeg").headers["content-type"], "image/jpeg")
end)

test("upload's content type takes the place of a header", function()
    local seen = upload("PUT", { headers = { ["content-type"] = "x/y" } }, "FILE", nil, "image/png")
    equal(seen.headers["content-type"], "image/png")
end)

test("upload with progress = true tells of the upload", function()
    local _, events = upload("PUT", { progress = true }, "FILE")
    equal(events[1].phase, "began")
    equal(events[1].bytesEstimated, 5)
end)

test("upload of a file that is not there is an error", function()
    local events = {}
    network.upload(support.url("/upload"), "PUT", function(event)
        events[#events + 1] = event
    end, "no such file")
    support.failed(support.wait_ended(events), "no such file")
end)

-- cancel ----------------------------------------

--- Starts a request that the server holds, and waits until the server has it.
local function start_held(params)
    local gate = support.unique("gate")
    local events, handle = support.start(support.url("/gate/" .. gate), "GET", params)
    equal(support.fetch_fine(support.url("/waiting/" .. gate)).status, 204)
    return events, handle, gate
end

local function settle_and_count(events)
    support.settle()
    return #events
end

test("cancel stops a request whose listener hears nothing more", function()
    local events, handle = start_held()
    equal(network.cancel(handle), true, "cancel")
    -- The gate is closed: only a cancelled request ends.
    equal(settle_and_count(events), 0, "events")
    equal(network.stats().failed > 0, true, "failed")
end)

test("cancel gives false when there is nothing to stop", function()
    local _, handle = start_held()
    equal(network.cancel(handle), true, "first")
    equal(network.cancel(handle), false, "second")
    support.settle()
    equal(network.cancel(handle), false, "after its end")
    local events, ended = support.start(support.url("/bytes/1"))
    support.wait_ended(events)
    equal(network.cancel(ended), false, "of an ended one")
end)

test("cancel stops what has ended but was not polled", function()
    local events, handle = support.start(support.url("/bytes/1"))
    network.wait(support.deadline)
    equal(network.cancel(handle), true, "cancel")
    equal(settle_and_count(events), 0, "events")
end)

test("cancel stops a refused request", function()
    local events, handle = support.start("ftp://127.0.0.1/")
    equal(network.cancel(handle), true, "cancel")
    equal(network.cancel(handle), false, "again")
    equal(settle_and_count(events), 0, "events")
end)

test("cancel inside a listener stops another request of the same poll", function()
    local heard, handles = {}, {}
    for i = 1, 2 do
        handles[i] = network.request(support.url("/bytes/1"), "GET", function()
            heard[#heard + 1] = i
            heard.result = network.cancel(handles[3 - i])
        end)
    end
    -- Both have ended before the first of them is polled.
    local limit = os.time() + support.deadline
    while network.stats().undrained < 2 do
        assert(os.time() < limit)
    end
    network.poll()
    equal(#heard, 1, "listeners heard")
    equal(heard.result, true, "cancel")
    support.settle()
    equal(#heard, 1, "listeners heard later")
end)

test("cancel inside its own listener gives false at the end", function()
    local result
    local handle
    handle = network.request(support.url("/bytes/1"), "GET", function()
        result = network.cancel(handle)
    end)
    support.wait_for(function()
        return result ~= nil
    end)
    equal(result, false)
end)

test("cancel inside the began event stops the request", function()
    local events, gate = {}, support.unique("gate")
    local result
    network.request(support.url("/held/" .. gate .. "?bytes=100000"), "GET", function(event)
        events[#events + 1] = event
        if event.phase == "began" then
            result = network.cancel(event.requestId)
        end
    end, { progress = "download" })
    support.wait_for(function()
        return result ~= nil
    end)
    equal(result, true, "cancel")
    equal(settle_and_count(events), 1, "events")
end)

test("cancel takes handles and nothing else", function()
    for _, value in ipairs({ 1, "x", true, {}, print, io.stdout }) do
        local kind = type(value)
        support.raises({ "network.cancel", "(got " .. kind .. ")" }, network.cancel, value)
    end
    support.raises({ "network.cancel", "(got nil)" }, network.cancel, nil)
end)

-- Errors in listeners ----------------------------------------

test("listener that throws loses no other event", function()
    local heard = 0
    for _ = 1, 5 do
        network.request(support.url("/bytes/1"), "GET", function()
            heard = heard + 1
            error("thrown by the test")
        end)
    end
    support.wait_for(function()
        return heard == 5
    end)
    equal(#support.errors, 5, "errors")
    support.errors = {}
end)

test("error of a listener is reported with its traceback", function()
    local function culprit()
        error("thrown by the test")
    end
    network.request(support.url("/bytes/1"), "GET", function()
        culprit()
    end)
    support.wait_for(function()
        return #support.errors == 1
    end)
    local said = table.concat(support.errors[1], "\n")
    support.contains(said, "thrown by the test")
    support.contains(said, "stack traceback")
    support.contains(said, "culprit")
    support.errors = {}
end)

test("thrown values of any type are reported", function()
    for _, value in ipairs({ { "a table" }, 42, false, print, setmetatable({}, { __tostring = function()
        return "made text"
    end }) }) do
        network.request(support.url("/bytes/1"), "GET", function()
            error(value)
        end)
        support.wait_for(function()
            return #support.errors == 1
        end)
        support.errors = {}
    end
    network.request(support.url("/bytes/1"), "GET", function()
        error()
    end)
    support.wait_for(function()
        return #support.errors == 1
    end)
    support.errors = {}
end)

test("error is written to stderr if nobody handles it", function()
    local output, status = support.run_piece([[
        network.configure{ proxy = "" }
        local ended
        network.request(arg[1], "GET", function() ended = true; error("thrown by the test") end)
        support.wait_for(function() return ended end)
        print("went on")
    ]], support.url("/bytes/1"))
    support.contains(output, "thrown by the test")
    support.contains(output, "stack traceback")
    support.contains(output, "went on")
    equal(status, 0, "exit status")
end)

test("handler of errors that throws loses no event", function()
    local output, status = support.run_piece([[
        network.configure{ proxy = "", onError = function() error("thrown by the handler") end }
        local heard = 0
        for _ = 1, 3 do
            network.request(arg[1], "GET", function() heard = heard + 1; error("thrown by the test") end)
        end
        local raised
        local limit = os.time() + support.deadline
        while heard < 3 and os.time() < limit do
            network.wait(0.05)
            pcall(network.poll)
        end
        print("heard " .. heard)
    ]], support.url("/bytes/1"))
    support.contains(output, "heard 3")
    equal(status, 0, "exit status")
end)

test("poll inside a listener is an error, and loses nothing", function()
    local heard, inside = 0, false
    for _ = 1, 4 do
        network.request(support.url("/bytes/1"), "GET", function()
            assert(not inside, "a listener runs within another")
            inside = true
            heard = heard + 1
            support.raises("network.poll", network.poll)
            inside = false
        end)
    end
    support.wait_for(function()
        return heard >= 4
    end)
    support.settle()
    equal(heard, 4)
end)

test("listener may start requests", function()
    local events = {}
    network.request(support.url("/bytes/1"), "GET", function()
        network.request(support.url("/bytes/2"), "GET", function(event)
            events[#events + 1] = event
        end)
    end)
    equal(#support.wait_ended(events).response, 2)
end)

-- The rest ----------------------------------------

test("getConnectionStatus tells of the machine's network", function()
    local status = network.getConnectionStatus()
    equal(type(status.isConnected), "boolean", "isConnected")
    equal(type(status.isMobile), "boolean", "isMobile")
end)

test("canDetectNetworkStatusChanges is true", function()
    equal(network.canDetectNetworkStatusChanges, true)
end)

test("handles are told apart and print well", function()
    local one, a = support.start(support.url("/bytes/1"))
    local two, b = support.start(support.url("/bytes/1"))
    assert(a ~= b, "two requests have one handle")
    assert(a == a)
    assert(tostring(a) ~= tostring(b), tostring(a))
    equal(support.wait_ended(one).requestId, a)
    equal(support.wait_ended(two).requestId, b)
end)

test("a poll's budget leaves the rest for later", function()
    local heard = 0
    for _ = 1, 5 do
        network.request(support.url("/bytes/1"), "GET", function()
            heard = heard + 1
            -- Longer than the budget.
            local started = os.clock()
            while os.clock() - started < 0.02 do
            end
        end)
    end
    local limit = os.time() + support.deadline
    while network.stats().undrained < 5 do
        assert(os.time() < limit)
    end
    local count = network.poll(1)
    assert(count >= 1 and count < 5, "delivered " .. count)
    equal(heard, count, "listeners heard")
    support.settle()
    equal(heard, 5, "listeners heard in the end")
end)

test("wait returns when there is something to poll", function()
    equal(network.wait(0), false, "with nothing under way")
    local events = support.start(support.url("/bytes/1"))
    equal(network.wait(support.deadline), true, "with a request")
    network.poll()
    equal(#events, 1)
end)
