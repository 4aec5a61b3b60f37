-- The event that a listener is given at the end: whole responses and failures.

local support = require "support"
local network, test, equal = support.network, support.test, support.equal

support.configure()

test("ended event has all its fields", function()
    local url = support.url("/bytes/10?type=text/plain")
    local events, handle = support.start(url)
    local event = support.wait_ended(events)
    equal(event.name, "networkRequest", "name")
    equal(event.phase, "ended", "phase")
    equal(event.isError, false, "isError")
    equal(event.status, 200, "status")
    equal(event.requestId, handle, "requestId")
    equal(event.url, url, "url")
    equal(type(event.responseHeaders), "table", "responseHeaders")
    equal(event.responseType, "text", "responseType")
    equal(type(event.response), "string", "response")
    equal(event.bytesTransferred, 10, "bytesTransferred")
    equal(event.bytesEstimated, 10, "bytesEstimated")
end)

test("url is the one that was requested", function()
    local url = support.url("/redirect/1?a=b%20c&d")
    equal(support.fetch_fine(url).url, url)
end)

test("requestId equals the handle in every event", function()
    local events, handle = support.start(support.url("/bytes/100000"), "GET", { progress = "download" })
    support.wait_ended(events)
    for _, event in ipairs(events) do
        assert(event.requestId == handle, event.phase)
    end
    local keys = { [handle] = true }
    assert(keys[events[1].requestId] or rawequal(events[1].requestId, handle) == false)
end)

test("event and its tables are the listener's to keep", function()
    local event = support.fetch_fine(support.url("/headers?X-A=kept"))
    for _ = 1, 5 do
        support.fetch_fine(support.url("/bytes/100000"))
    end
    collectgarbage()
    equal(event.responseHeaders["X-A"], "kept")
    equal(event.status, 200)
end)

test("status of an error is data", function()
    for _, status in ipairs({ 201, 400, 401, 404, 500, 503, 599 }) do
        local event = support.fetch(support.url("/status/" .. status .. "?body=said"))
        equal(event.isError, false, "isError of " .. status)
        equal(event.status, status)
        equal(event.response, "said")
    end
end)

test("204 and HEAD have an empty response", function()
    equal(support.fetch_fine(support.url("/204")).response, "")
    local event = support.fetch_fine(support.url("/head"), "HEAD")
    equal(event.response, "")
    equal(event.responseHeaders["content-length"], "1234")
    equal(event.bytesTransferred, 0)
end)

-- Failures ----------------------------------------

test("refused connection is an error that says where", function()
    local event, events = support.fetch_all("http://127.0.0.1:1/path")
    support.failed(event, "127.0.0.1:1")
    equal(#events, 1, "events")
    equal(event.url, "http://127.0.0.1:1/path")
end)

test("response that was cut short is an error", function()
    for _, path in ipairs({ "/truncate", "/reset?after=100", "/reset-headers", "/truncated-chunks", "/empty" }) do
        support.failed(support.fetch(support.url(path)), "127.0.0.1:" .. support.port())
    end
end)

test("response that is no HTTP is an error", function()
    for _, path in ipairs({ "/garbage", "/bad-chunk", "/bad-status-line", "/conflicting-length" }) do
        support.failed(support.fetch(support.url(path)))
    end
end)

test("broken compression is an error", function()
    for _, kind in ipairs({ "corrupt", "truncated", "checksum" }) do
        support.failed(support.fetch(support.url("/bad-gzip?kind=" .. kind)))
    end
end)

test("timeout is an error that says where", function()
    local event = support.fetch(support.url("/stall?sent=10"), "GET", { timeout = 0.3 })
    support.failed(event, "127.0.0.1:" .. support.port())
end)

test("certificate of a stranger is an error", function()
    -- A client that trusts the system's authorities alone.
    local output = support.run_piece([[
        network.configure{ proxy = "" }
        local event = support.fetch(arg[1])
        print(event.isError, event.status, event.response)
    ]], support.secure_url("/bytes/1"))
    support.contains(output, "true\t-1\t")
    support.contains(output, "ertificate")
end)

test("certificate for another name is an error", function()
    local output = support.run_piece([[
        support.configure{ resolves = { { host = "stranger.invalid", address = "127.0.0.1" } } }
        local event = support.fetch(arg[1])
        print(event.isError, event.status, event.response)
    ]], (support.secure_url("/bytes/1", "stranger.invalid")))
    support.contains(output, "true\t-1\t")
    support.contains(output, "stranger.invalid")
end)

test("https to a server that is trusted works", function()
    equal(#support.fetch_fine(support.secure_url("/bytes/1000")).response, 1000)
    equal(#support.fetch_fine(support.secure_url("/bytes/1000", "localhost")).response, 1000)
end)

test("http to a TLS server is an error", function()
    support.failed(support.fetch((support.secure_url("/bytes/1"):gsub("^https", "http"))))
end)

-- Headers ----------------------------------------

test("headers are found by any letter case", function()
    local headers = support.fetch_fine(support.url("/headers?X-MiXed=value&etag=tag")).responseHeaders
    for _, name in ipairs({ "X-MiXed", "x-mixed", "X-MIXED" }) do
        equal(headers[name], "value", name)
    end
    equal(headers.ETag, "tag")
    equal(headers["X-Other"], nil)
    equal(headers[1], nil)
    equal(headers[true], nil)
end)

test("headers are listed by their names as received", function()
    local headers = support.fetch_fine(support.url("/headers?X-MiXed=value")).responseHeaders
    local found
    for name, value in pairs(headers) do
        equal(type(name), "string")
        equal(type(value), "string")
        if name == "X-MiXed" then
            found = value
        end
        assert(name ~= "x-mixed")
    end
    equal(found, "value")
end)

test("several Set-Cookie are joined by a comma", function()
    local headers = support.fetch_fine(support.url("/cookie/set?a=1&b=2;%20Path=/nowhere&c=3")).responseHeaders
    equal(headers["Set-Cookie"], "a=1,b=2; Path=/nowhere,c=3")
end)

test("other repeated headers are joined by a comma and a space", function()
    local headers = support.fetch_fine(support.url("/headers?X-A=1&X-B=b&x-a=2&X-A=3")).responseHeaders
    equal(headers["X-A"], "1, 2, 3")
    equal(headers["X-B"], "b")
end)

test("status line is among the headers", function()
    local headers = support.fetch_fine(support.url("/status/200")).responseHeaders
    equal(headers["HTTP-STATUS-LINE"], "HTTP/1.1 200 OK")
    headers = support.fetch_fine(support.url("/status/404?reason=Not%20Here")).responseHeaders
    equal(headers["HTTP-STATUS-LINE"], "HTTP/1.1 404 Not Here")
    equal(headers["http-status-line"], "HTTP/1.1 404 Not Here")
end)

test("headers are those of the last response", function()
    local headers = support.fetch_fine(support.url("/redirect/1")).responseHeaders
    equal(headers.Location, nil)
    equal(headers["HTTP-STATUS-LINE"], "HTTP/1.1 200 OK")
end)

test("thousand headers come along", function()
    local headers = support.fetch_fine(support.url("/many-headers?count=1000")).responseHeaders
    for i = 0, 999 do
        equal(headers["x-header-" .. i], "value-" .. i)
    end
end)

test("header that bears the name of a metamethod is a header", function()
    local headers = support.fetch_fine(support.url("/headers?__index=a&__gc=b&__metatable=c")).responseHeaders
    equal(headers.__index, "a")
    equal(headers.__gc, "b")
    equal(headers["__Metatable"], "c")
end)

-- Bodies ----------------------------------------

test("response holds any bytes", function()
    local bytes = {}
    for i = 0, 255 do
        bytes[#bytes + 1] = string.char(i)
    end
    local all = table.concat(bytes)
    local event = support.fetch_fine(support.url("/echo"), "POST", { body = all, bodyType = "binary" })
    equal(event.response, all)
    equal(event.responseType, "binary")
end)

test("response of 20 MB comes whole", function()
    local event = support.fetch_fine(support.url(support.reply({ body = "0123456789", times = 2000000 })))
    equal(#event.response, 20000000)
    equal(event.response:sub(-10), "0123456789")
    assert(not event.response:find("90[^1]"))
end)

test("compressed response is unpacked and counted as on the wire", function()
    local event = support.fetch_fine(support.url("/gzip?bytes=100000"))
    equal(#event.response, 100000)
    local wire = tonumber(event.responseHeaders["Content-Length"])
    assert(wire < 100000)
    equal(event.bytesTransferred, wire)
    equal(event.bytesEstimated, wire)
end)

test("size is -1 if unknown and 0 if there is none", function()
    local event = support.fetch_fine(support.url("/chunked?bytes=5000"))
    equal(event.bytesEstimated, -1)
    equal(event.bytesTransferred, 5000)
    event = support.fetch_fine(support.url("/bytes/0"))
    equal(event.bytesEstimated, 0)
    equal(event.bytesTransferred, 0)
    equal(event.response, "")
end)
