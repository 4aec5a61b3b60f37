-- Arguments of every wrong type, and values that no sane program would pass.

local support = require "support"
local network, test, equal = support.network, support.test, support.equal
local unpack = table.unpack or unpack

support.configure()

--- One value of each type; nil under "nil".
local values = {
    boolean = true,
    number = 42,
    string = "a string",
    table = {},
    ["function"] = function() end,
    userdata = io.stdout,
    thread = coroutine.create(function() end),
}
local types = { "nil", "boolean", "number", "string", "table", "function", "userdata", "thread" }

local url = support.url("/bytes/1")
local function listener() end

--- Calls a function with each type in one place, but for those that are right there; each must be refused by a message
--- that names the function, the parameter and the type.
local function refuses(name, place, parameter, right, ...)
    local count = math.max(select("#", ...), place)
    local checked = 0
    for _, kind in ipairs(types) do
        if not (" " .. right .. " "):find(" " .. kind .. " ", 1, true) then
            local arguments = { ... }
            arguments[place] = values[kind]
            local message = "network." .. name .. ": '" .. parameter .. "' parameter must be "
            support.raises({ message, "(got " .. kind .. ")" }, network[name], unpack(arguments, 1, count))
            checked = checked + 1
        end
    end
    assert(checked > 0)
    network.poll()
end

test("error names the function, the parameter and the type got", function()
    support.raises("network.request: 'url' parameter must be a string (got nil)", network.request, nil, "GET", listener)
end)

test("request refuses wrong types", function()
    refuses("request", 1, "url", "string", url, "GET", listener)
    refuses("request", 2, "method", "string nil", url, "GET", listener)
    refuses("request", 3, "listener", "nil function", url, "GET", listener)
    refuses("request", 4, "params", "table nil", url, "GET", listener, {})
end)

test("download refuses wrong types", function()
    refuses("download", 1, "url", "string", url, "GET", listener, "file")
    refuses("download", 2, "method", "string nil", url, "GET", listener, "file")
    refuses("download", 3, "listener", "nil function", url, "GET", listener, "file")
    refuses("download", 4, "params", "table nil string", url, "GET", listener, {}, "file")
    refuses("download", 5, "filename", "string", url, "GET", listener, {}, "file")
    refuses("download", 6, "baseDirectory", "nil", url, "GET", listener, {}, "file", network.CachesDirectory)
    refuses("download", 5, "baseDirectory", "nil", url, "GET", listener, "file", network.CachesDirectory)
end)

test("upload refuses wrong types", function()
    refuses("upload", 1, "url", "string", url, "POST", listener, "file")
    refuses("upload", 2, "method", "string nil", url, "POST", listener, "file")
    refuses("upload", 3, "listener", "nil function", url, "POST", listener, "file")
    refuses("upload", 4, "params", "table nil string", url, "POST", listener, {}, "file")
    refuses("upload", 5, "filename", "string", url, "POST", listener, {}, "file")
    refuses("upload", 6, "baseDirectory", "nil string", url, "POST", listener, {}, "file", network.CachesDirectory)
    refuses("upload", 7, "contentType", "nil string", url, "POST", listener, {}, "file", nil, "text/plain")
    refuses("upload", 6, "contentType", "nil string", url, "POST", listener, "file", nil, "text/plain")
end)

test("calls without arguments are refused", function()
    for _, name in ipairs({ "request", "download", "upload", "cancel", "setStatusListener" }) do
        support.raises({ "network." .. name, "(got n" }, network[name])
    end
    support.raises({ "network.download", "filename" }, network.download, url, "GET", listener)
    support.raises({ "network.upload", "filename" }, network.upload, url, "PUT", listener)
    support.raises({ "network.upload", "filename" }, network.upload, url, "PUT", listener, {})
end)

test("table that cannot listen is refused", function()
    for _, value in ipairs({ {}, { networkRequest = true }, { networkRequest = "print" }, { networkrequest = print },
        { print } }) do
        support.raises({ "network.request", "listener" }, network.request, url, "GET", value)
    end
end)

test("setStatusListener refuses wrong types", function()
    refuses("setStatusListener", 1, "host", "string", "127.0.0.1", listener)
    refuses("setStatusListener", 2, "listener", "nil function", "127.0.0.1", listener)
end)

test("poll and wait refuse wrong types", function()
    for _, kind in ipairs({ "boolean", "string", "table", "function" }) do
        support.raises("network.wait", network.wait, values[kind])
        support.raises("network.poll", network.poll, values[kind])
    end
end)

test("a refused call starts nothing", function()
    local before = network.stats().submitted
    pcall(network.request, url, "GET", 5)
    pcall(network.request, url, "GET", listener, "params")
    pcall(network.download, url, "GET", listener, {}, 5)
    equal(network.stats().submitted, before)
    equal(network.poll(), 0)
end)

-- Values ----------------------------------------

local function failed(...)
    local event = support.fetch(...)
    support.failed(event)
    return event
end

test("NUL ends no string early", function()
    failed(support.url("/bytes/1\0"))
    failed(support.url("/\0bytes/1"))
    failed(support.url("/bytes/1"), "GET\0")
    failed(support.url("/bytes/1"), "GET", { response = { filename = "a\0b" } })
    failed(support.url("/bytes/1"), "POST", { body = { filename = "a\0b" } })
    failed(support.url("/bytes/1"), "POST", { body = "x", headers = { ["Content-Type"] = "text/plain\0" } })
    equal(support.names(support.folder() .. "/documents"), "")
end)

test("strings that are not UTF-8 are errors", function()
    failed(support.url("/\255"))
    failed(support.url("/bytes/1"), "GET", { response = { filename = "\255" } })
    failed(support.url("/bytes/1"), "GET", { headers = { A = "\255" } })
    failed(support.url("/bytes/1"), "G\255T")
end)

test("URL of any length is accepted or an error", function()
    equal(support.fetch_fine(support.url("/bytes/1?" .. ("a"):rep(60000))).status, 200)
    failed(support.url("/bytes/1?" .. ("a"):rep(100000)))
    failed(("a"):rep(5000000))
end)

test("params with wrong types inside are errors, not raised", function()
    for key, wrong in pairs({
        headers = { true, 1, "x", print, io.stdout },
        body = { true, 1, print, io.stdout },
        bodyType = { true, 1, {}, print },
        progress = { 1, {}, print, "both", "" },
        response = { true, 1, "x", print, io.stdout },
        timeout = { true, "x", {}, print, -1, 0 / 0 },
        handleRedirects = { 1, "x", {} },
        debug = { 1, "x", {} },
    }) do
        for _, value in ipairs(wrong) do
            local event = support.fetch(url, "POST", { [key] = value })
            support.failed(event, key)
        end
    end
end)

test("header table may refer to itself", function()
    local headers = { A = "b" }
    headers.headers = headers
    support.failed(support.fetch(url, "GET", { headers = headers }), "header")
    local params = {}
    params.headers, params.body, params.response = params, params, params
    failed(url, "POST", params)
end)

test("huge header tables are errors", function()
    local headers = {}
    for i = 1, 100000 do
        headers["X-Header-" .. i] = "value"
    end
    support.failed(support.fetch(url, "GET", { headers = headers }), "header")
    support.failed(support.fetch(url, "GET", { headers = { A = ("a"):rep(1000000) } }), "header")
    support.failed(support.fetch(url, "GET", { headers = { [("a"):rep(1000000)] = "a" } }), "header")
end)

test("params whose metamethods throw do no harm", function()
    local function thrower()
        error("thrown by a metamethod")
    end
    local evil = setmetatable({}, { __index = thrower, __len = thrower, __pairs = thrower, __tostring = thrower })
    for _, params in ipairs({ evil, { headers = evil }, { body = evil }, { response = evil },
        { headers = { A = evil } } }) do
        pcall(function()
            local events = support.start(url, "POST", params)
            support.wait_ended(events)
        end)
        support.settle()
    end
    -- Events of requests that were refused half-way do not come later.
    equal(support.fetch_fine(url).status, 200)
end)

test("listener that yields does no harm", function()
    network.request(url, "GET", function()
        coroutine.yield()
    end)
    support.wait_for(function()
        return #support.errors == 1
    end)
    support.errors = {}
    -- Nor in a coroutine, where it would be possible.
    network.request(url, "GET", function()
        coroutine.yield("yielded")
    end)
    network.wait(support.deadline)
    local thread = coroutine.create(function()
        return network.poll()
    end)
    local fine, result = coroutine.resume(thread)
    assert(fine, result)
    equal(coroutine.status(thread), "dead")
    equal(result, 1)
    equal(#support.errors, 1)
    support.errors = {}
end)

test("listener that exhausts the stack loses no other event", function()
    local heard = 0
    local function recurse()
        return 1 + recurse()
    end
    for _ = 1, 2 do
        network.request(url, "GET", function()
            heard = heard + 1
            recurse()
        end)
    end
    support.wait_for(function()
        return heard == 2
    end)
    support.contains(tostring(support.errors[1][1]), "stack overflow")
    equal(#support.errors, 2)
    support.errors = {}
end)

test("thousand requests at once all end", function()
    local heard = 0
    for _ = 1, 1000 do
        network.request(url, "GET", function(event)
            heard = heard + (event.status == 200 and 1 or 0)
        end)
    end
    support.wait_for(function()
        return heard == 1000
    end)
end)

-- configure ----------------------------------------

--- Runs network.configure with this argument in a fresh process and gives what it says.
local function configure(argument)
    local output = support.run_piece("print(pcall(network.configure, " .. argument .. "))")
    return output
end

test("configure names an unknown key", function()
    local output = configure("{ userAgnet = 'x' }")
    support.contains(output, "false\t")
    support.contains(output, "userAgnet")
end)

test("configure names the key, the type wanted and the type got", function()
    for key, case in pairs({
        userAgent = { "5", "string", "number" },
        maxActive = { "'many'", "number", "string" },
        timeout = { "{}", "number", "table" },
        caFile = { "true", "string", "boolean" },
        resolves = { "'x'", "table", "string" },
        cookies = { "1", "boolean", "number" },
        onError = { "'x'", "function", "string" },
        onWarning = { "1", "function", "number" },
        documentsDirectory = { "{}", "string", "table" },
    }) do
        local output = configure("{ " .. key .. " = " .. case[1] .. " }")
        support.contains(output, "false\t", key)
        support.contains(output, key)
        support.contains(output, case[2], key)
        support.contains(output, "got " .. case[3], key)
    end
end)

test("configure refuses wrong types", function()
    for argument, kind in pairs({ ["nil"] = "nil", ["5"] = "number", ["'x'"] = "string" }) do
        local output = configure(argument)
        support.contains(output, "network.configure")
        support.contains(output, "(got " .. kind .. ")")
    end
end)

test("configure refuses bad elements of lists", function()
    for _, argument in ipairs({
        "{ resolves = { 5 } }", "{ resolves = { { host = 5 } } }", "{ resolves = { { host = 'a', addres = 'x' } } }",
        "{ resolves = { { host = 'a.test', address = 'no address' } } }",
        "{ resolves = { { address = '127.0.0.1' } } }", "{ defaultHeaders = { A = {} } }", "{ maxActive = -1 }", "{ maxActive = 1.5 }", "{ maxActive = 1e20 }",
        "{ timeout = -1 }", "{ caFile = 'a\\0b' }", "{ [1] = 'x' }",
    }) do
        -- Whether at once or when the client is made: an error, and no request gets through.
        local output = support.run_piece("print(pcall(function() network.configure(" .. argument .. ")\n"
            .. "return support.fetch(arg[1]).isError end))", url)
        assert(output:find("false\t", 1, true) or output:find("true\ttrue", 1, true), argument .. ": " .. output)
    end
end)

test("configure after the first request is an error", function()
    support.fetch_fine(url)
    support.raises("network.configure", network.configure, { userAgent = "late" })
end)
