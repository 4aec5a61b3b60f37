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

-- What Lua code gets hold of ----------------------------------------

--- What this module's tables and userdata are made of, in a process of its own, since the wrong value crashed it.
--- `reach(visit)` calls visit for every value that the debug library reaches from the module and from one of each kind
--- of object; `odd()` gives one value of each kind there is.
local reaching = [[
    support.configure()
    local function ignore() end
    local handle = network.request("ftp://127.0.0.1/", "GET", ignore)
    local event = support.fetch(arg[1])
    local headers = event.responseHeaders
    local directory = network.CachesDirectory
    local listening = network.request(arg[1], "GET", { networkRequest = ignore })
    network.setStatusListener("127.0.0.1", ignore)

    local foreign = { [_G] = true, [support] = true, [package.loaded] = true, [debug.getregistry()] = true }
    for _, library in pairs(package.loaded) do
        if library ~= network then
            foreign[library] = true
            for _, member in pairs(type(library) == "table" and library or {}) do
                foreign[member] = true
            end
        end
    end
    foreign[network] = nil

    local function reach(visit)
        local seen = {}
        local function walk(value)
            local kind = type(value)
            if kind ~= "table" and kind ~= "userdata" and kind ~= "function" or seen[value] or foreign[value] then
                return
            end
            seen[value] = true
            visit(value, kind)
            if kind == "function" then
                for i = 1, 10 do
                    local name, upvalue = debug.getupvalue(value, i)
                    if not name then
                        break
                    end
                    walk(upvalue)
                end
                return
            end
            if kind == "table" then
                for key, member in next, value do
                    walk(key)
                    walk(member)
                end
            elseif debug.getuservalue then
                walk((debug.getuservalue(value)))
            elseif debug.getfenv then
                walk(debug.getfenv(value))
            end
            walk(debug.getmetatable(value))
        end
        for _, value in ipairs({ network, handle, headers, directory, listening }) do
            walk(value)
        end
        -- Lua 5.1 shows no upvalues of C functions; what they are is in its registry.
        for key, value in next, debug.getregistry() do
            if type(key) == "userdata" and type(value) == "table" and rawget(value, 1) == network then
                walk(value)
            end
        end
    end

    local function odd()
        local coroutine_of_it = coroutine.create(function() coroutine.yield() end)
        coroutine.resume(coroutine_of_it)
        local values = {
            false, true, 0, 1, -1, 2^53, 0 / 0, "", "text", {}, print, io.stdout, coroutine_of_it, handle, directory,
            headers, network, event, setmetatable({}, { __index = error }),
        }
        if newproxy then
            values[#values + 1] = newproxy(true)
        end
        return values
    end
]]

--- Runs a piece after `reaching`; it has to come to its end.
local function survives(piece)
    local output, status = support.run_piece(reaching .. piece .. "\nio.write('survived')", url)
    equal(status, 0, output)
    support.contains(output, "survived")
end

test("metatables are hidden", function()
    local event = support.fetch_fine(url)
    for _, value in ipairs({ event.requestId, event.responseHeaders, network.CachesDirectory }) do
        equal(getmetatable(value), false)
        if type(value) == "table" then
            support.raises("protected", setmetatable, value, {})
        end
    end
    assert(tostring(event.requestId):find("^network request %d+$"))
    equal(tostring(network.CachesDirectory), "CachesDirectory")
end)

test("metamethods called with other values refuse them", function()
    survives([[
        local called = 0
        for _, object in ipairs({ handle, directory, headers }) do
            for name, metamethod in pairs(debug.getmetatable(object)) do
                if type(metamethod) == "function" then
                    metamethod(object, "date")
                    pcall(metamethod)
                    for _, value in ipairs(odd()) do
                        local fine, text = pcall(metamethod, value, "date")
                        assert(not fine or name == "__index" or value == object, name)
                        pcall(metamethod, value)
                        for _, second in ipairs(odd()) do
                            pcall(metamethod, value, second)
                            called = called + 1
                        end
                    end
                end
            end
        end
        assert(called > 500, called)
        assert(tostring(handle):find("^network request %d+$"), tostring(handle))
        assert(support.fetch(arg[1]).status == 200)
    ]])
end)

test("objects under another metatable are known, others under theirs are not", function()
    survives([[
        local others = odd()
        for _, object in ipairs({ handle, directory, headers }) do
            local metatable = debug.getmetatable(object)
            for _, value in ipairs(others) do
                if type(value) == "userdata" and value ~= handle and value ~= directory then
                    local own = debug.getmetatable(value)
                    debug.setmetatable(value, metatable)
                    pcall(tostring, value)
                    assert(not pcall(network.cancel, value))
                    assert(not pcall(network.pathForFile, "a", value))
                    assert(not pcall(network.download, arg[1], "GET", ignore, "a", value))
                    debug.setmetatable(value, own)
                end
            end
        end
        local stalled = network.request(arg[1]:gsub("/bytes/1$", "/stall"), "GET", ignore)
        debug.setmetatable(stalled, nil)
        assert(network.cancel(stalled))
        debug.setmetatable(directory, debug.getmetatable(handle))
        pcall(tostring, directory)
        assert(not pcall(network.cancel, directory))
        assert(network.pathForFile("a", directory):find("/caches/a$"))
    ]])
end)

test("every function that the debug library reaches takes every value", function()
    survives([[
        local functions = {}
        reach(function(value, kind)
            if kind == "function" and value ~= network.wait then
                functions[#functions + 1] = value
            end
        end)
        assert(#functions > 15, #functions)
        local shared = {}
        reach(function(value, kind)
            if kind == "userdata" then
                shared[#shared + 1] = value
            end
        end)
        for _, f in ipairs(functions) do
            pcall(f)
            local values = odd()
            for _, value in ipairs(shared) do
                values[#values + 1] = value
            end
            for _, first in ipairs(values) do
                pcall(f, first)
                for _, second in ipairs(values) do
                    pcall(f, first, second)
                    pcall(f, first, second, first, second, first, second, first)
                end
            end
        end
    ]])
end)

test("closing the client by its finalizer's function, twice, leaves errors only", function()
    survives([[
        local closed = 0
        reach(function(value, kind)
            local metatable = kind == "userdata" and debug.getmetatable(value)
            if metatable and metatable.__gc and value ~= io.stdout then
                metatable.__gc(value)
                metatable.__gc(value)
                closed = closed + 1
            end
        end)
        assert(closed == 1, closed)
        assert(network.poll() == 0)
        support.raises("being closed", network.request, arg[1], "GET", ignore)
        network.cancel(handle)
        network.shutdown()
        support.finish = nil
    ]])
end)

test("upvalues and tables that the debug library exchanges leave errors only", function()
    -- One function, one place and one value at a time; what was there comes back.
    survives([[
        local changed = 0
        local function try()
            for name, f in pairs(network) do
                if type(f) == "function" and name ~= "shutdown" and name ~= "wait" then
                    pcall(f)
                    pcall(f, arg[1], "GET", ignore)
                    pcall(f, handle)
                    pcall(f, "127.0.0.1", ignore)
                end
            end
            pcall(network.poll)
            pcall(tostring, handle)
            pcall(function() return headers.date end)
        end
        local values = { 5, "text", {}, print, io.stdout, handle, coroutine.create(ignore) }
        local spots = {}
        reach(function(value, kind)
            if kind == "function" then
                for i = 1, 10 do
                    local name = debug.getupvalue(value, i)
                    if not name then
                        break
                    end
                    spots[#spots + 1] = { value, i, debug.setupvalue, debug.getupvalue }
                end
            elseif kind == "table" and value ~= network then
                for key in next, value do
                    spots[#spots + 1] = { value, key, rawset, function(t, k) return k, rawget(t, k) end }
                end
            end
        end)
        assert(#spots > 20, #spots)
        for _, spot in ipairs(spots) do
            local holder, place, set, get = spot[1], spot[2], spot[3], spot[4]
            local _, former = get(holder, place)
            -- What a body that is lent lies in may not be taken away from a request that runs.
            network.wait(0)
            for _, value in ipairs(values) do
                set(holder, place, value)
                changed = changed + 1
                if changed % 7 == 0 then
                    try()
                else
                    pcall(network.poll)
                    pcall(network.request, arg[1], "GET", ignore)
                    pcall(network.stats)
                    pcall(network.cancel, handle)
                    pcall(network.shutdown)
                end
            end
            set(holder, place, former)
        end
    ]])
end)
