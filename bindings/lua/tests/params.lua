-- What a request can say in its params, apart from files.

local support = require "support"
local network, test, equal = support.network, support.test, support.equal

support.configure()

--- Makes a request to a path of its own; gives what the server saw of it, and the ended event.
local function seen(method, params, status)
    local path = "/" .. support.unique("params")
    support.stub(path, { status = status })
    local event = support.fetch_fine(support.url(path), method, params)
    return support.last(path), event
end

--- Makes a request that must fail with these words and reach nobody.
local function refused(params, ...)
    local path = "/" .. support.unique("refused")
    local event, events = support.fetch_all(support.url(path), "POST", params)
    support.failed(event, ...)
    equal(#events, 1, "events")
    equal(support.last(path).count, 0, "requests seen")
end

-- headers ----------------------------------------

test("headers are sent", function()
    local request = seen("GET", { headers = { ["X-Text"] = "a text", ["Accept-Language"] = "en-US" } })
    equal(request.headers["x-text"], "a text")
    equal(request.headers["accept-language"], "en-US")
end)

test("header values may be numbers and booleans", function()
    local request = seen("GET", { headers = { A = 5, B = 1.5, C = true, D = false, E = -3, F = 2 ^ 40 } })
    equal(request.headers.a, "5")
    equal(request.headers.b, "1.5")
    equal(request.headers.c, "true")
    equal(request.headers.d, "false")
    equal(request.headers.e, "-3")
    equal(tonumber(request.headers.f), 2 ^ 40)
end)

test("header value may be empty", function()
    equal(seen("GET", { headers = { ["X-Empty"] = "" } }).headers["x-empty"], "")
end)

test("Content-Length of the caller is ignored", function()
    local request = seen("POST", { headers = { ["content-LENGTH"] = "999" }, body = "12345" })
    equal(request.headers["content-length"], "5")
    equal(request.body, "12345")
    equal(seen("POST", { headers = { ["Content-Length"] = 0 }, body = "12345" }).body, "12345")
end)

test("CR, LF and NUL in a header are refused", function()
    for _, evil in ipairs({ "a\rb", "a\nb", "a\r\nX-Evil: 1", "a\0b", "\0", "\n" }) do
        refused({ headers = { ["X-Value"] = evil } }, "header")
        refused({ headers = { [evil] = "value" } }, "header")
    end
end)

test("header name that is no token is refused", function()
    for _, name in ipairs({ "", "a b", "a:b", "grüße" }) do
        refused({ headers = { [name] = "x" } }, "header")
    end
end)

test("header names and values of other types are refused", function()
    refused({ headers = { [1] = "x" } }, "header")
    refused({ headers = { "x" } }, "header")
    refused({ headers = { [true] = "x" } }, "header")
    refused({ headers = { A = {} } }, "header", "table")
    refused({ headers = { A = print } }, "header", "function")
    refused({ headers = "A: b" }, "headers", "string")
end)

-- body, bodyType, Content-Type ----------------------------------------

test("body is a string of any bytes", function()
    local bytes = {}
    for i = 0, 255 do
        bytes[#bytes + 1] = string.char(i)
    end
    local all = table.concat(bytes)
    local request = seen("POST", { body = all, bodyType = "binary" })
    equal(request.body, all)
    equal(request.headers["content-length"], "256")
end)

test("empty body is sent as one", function()
    local request = seen("POST", { body = "" })
    equal(request.body, "")
    equal(request.headers["content-length"], "0")
end)

test("text has a Content-Type with UTF-8 by default", function()
    equal(seen("POST", { body = "x" }).headers["content-type"], "text/plain; charset=UTF-8")
    equal(seen("POST", { body = "x", bodyType = "text" }).headers["content-type"], "text/plain; charset=UTF-8")
end)

test("binary has the Content-Type octet-stream by default", function()
    equal(seen("POST", { body = "x", bodyType = "binary" }).headers["content-type"], "application/octet-stream")
end)

test("request without a body has no Content-Type", function()
    equal(seen("GET").headers["content-type"], nil)
    equal(seen("POST").headers["content-type"], nil)
end)

test("text with a Content-Type that names no charset gets UTF-8", function()
    for given, sent in pairs({
        ["application/json"] = "application/json; charset=UTF-8",
        ["application/x-www-form-urlencoded"] = "application/x-www-form-urlencoded; charset=UTF-8",
        ["text/html; charset=utf-8"] = "text/html; charset=utf-8",
        ["text/html; level=1"] = "text/html; level=1; charset=UTF-8",
    }) do
        equal(seen("POST", { body = "ü", headers = { ["content-type"] = given } }).headers["content-type"], sent)
    end
end)

test("text with another charset is encoded into it", function()
    for charset, bytes in pairs({
        ["ISO-8859-1"] = "gr\252\223e",
        ["windows-1252"] = "gr\252\223e",
        ["UTF-16LE"] = "g\0r\0\252\0\223\0e\0",
        ["UTF-8"] = "gr\195\188\195\159e",
    }) do
        local kind = "text/plain; charset=" .. charset
        local request = seen("POST", { body = "gr\195\188\195\159e", headers = { ["Content-Type"] = kind } })
        equal(request.body, bytes, charset)
        equal(request.headers["content-length"], tostring(#bytes), charset)
        equal(request.headers["content-type"], kind)
    end
    local kind = { ["Content-Type"] = "text/plain; charset=Shift_JIS" }
    equal(seen("POST", { body = "\227\131\134", headers = kind }).body, "\131\101")
end)

test("unknown charset of a text is an error", function()
    refused({ body = "x", headers = { ["Content-Type"] = "text/plain; charset=klingon" } }, "klingon")
end)

test("text that its charset cannot hold is an error", function()
    refused({ body = "\208\182", headers = { ["Content-Type"] = "text/plain; charset=ISO-8859-1" } })
end)

test("text that is not UTF-8 is an error where it must be encoded", function()
    for _, text in ipairs({ "\255", "a\195", "\237\160\128", "\192\128" }) do
        refused({ body = text, headers = { ["Content-Type"] = "text/plain; charset=ISO-8859-1" } })
    end
end)

test("binary body is sent as it is, whatever its Content-Type", function()
    local kind = "text/plain; charset=klingon"
    local request = seen("POST", { body = "\255", bodyType = "binary", headers = { ["Content-Type"] = kind } })
    equal(request.body, "\255")
    equal(request.headers["content-type"], kind)
    kind = "application/json"
    request = seen("POST", { body = "{}", bodyType = "binary", headers = { ["Content-Type"] = kind } })
    equal(request.headers["content-type"], kind)
end)

test("unknown bodyType and progress are errors", function()
    refused({ body = "x", bodyType = "words" }, "bodyType", "words")
    refused({ progress = "sideways" }, "progress", "sideways")
end)

test("a body goes with PUT, PATCH, DELETE and GET", function()
    for _, method in ipairs({ "PUT", "PATCH", "DELETE", "GET" }) do
        local request = seen(method, { body = "12345" })
        equal(request.line:match("^%S+"), method)
        equal(request.body, "12345", method)
    end
end)

-- timeout ----------------------------------------

test("timeout is in seconds", function()
    local started = os.time()
    local event = support.fetch(support.url("/stall-headers"), "GET", { timeout = 1 })
    support.failed(event, "1")
    local took = os.time() - started
    assert(took >= 0 and took <= 20, "took " .. took .. " s")
end)

test("timeout may be a fraction", function()
    local started = os.time()
    support.failed(support.fetch(support.url("/stall-headers"), "GET", { timeout = 0.2 }))
    assert(os.time() - started <= 20)
    equal(support.fetch_fine(support.url("/delay?ms=300"), "GET", { timeout = 20.5 }).status, 200)
end)

test("timeout that is no positive number is an error", function()
    for _, value in ipairs({ -1, 0 / 0, "soon", {}, true }) do
        refused({ timeout = value }, "timeout")
    end
end)

-- handleRedirects, debug ----------------------------------------

test("handleRedirects = false hands over the 3xx", function()
    local event = support.fetch_fine(support.url("/redirect/1"), "GET", { handleRedirects = false })
    equal(event.status, 302)
    equal(event.responseHeaders.Location, "/bytes/2")
    equal(event.response, "see /bytes/2\n")
end)

test("handleRedirects is true by default", function()
    equal(support.fetch_fine(support.url("/redirect/3")).status, 200)
    equal(support.fetch_fine(support.url("/redirect/3"), "GET", { handleRedirects = true }).status, 200)
end)

test("debug adds the charset and where it was found", function()
    local function debugged(kind, body)
        local url = support.url(support.reply({ "Content-Type: " .. kind, body = body }))
        return support.fetch_fine(url, "GET", { debug = true }).debug
    end
    local found = debugged("text/plain; charset=ISO-8859-1", "\252")
    equal(found.charset, "windows-1252")
    local sources = { [found.charsetSource] = true }
    for _, text in ipairs({
        { "text/plain", "\239\187\191x", "UTF-8" },
        { "text/xml", "<?xml version='1.0' encoding='windows-1251'?><a/>", "windows-1251" },
        { "text/html", "<meta charset=koi8-r>", "KOI8-R" },
        { "text/html", "<meta http-equiv=Content-Type content='text/html; charset=big5'>", "Big5" },
        { "text/plain", "x", "UTF-8" },
    }) do
        found = debugged(text[1], text[2])
        equal(found.charset, text[3], text[2])
        equal(type(found.charsetSource), "string", text[2])
        assert(not sources[found.charsetSource], "found twice: " .. tostring(found.charsetSource))
        sources[found.charsetSource] = true
    end
    equal(support.fetch_fine(support.url("/status/200?body=x")).debug, nil, "without debug")
end)

-- The table itself ----------------------------------------

test("empty params are no params", function()
    equal(support.fetch_fine(support.url("/bytes/1"), "GET", {}).status, 200)
end)

test("params may be changed once the request is made", function()
    local path = "/" .. support.unique("copied")
    support.stub(path, {})
    local params = { headers = { A = "1" }, body = "before" }
    local events = support.start(support.url(path), "POST", params)
    params.headers.A, params.body = "2", "after"
    support.wait_ended(events)
    local request = support.last(path)
    equal(request.headers.a, "1")
    equal(request.body, "before")
end)
