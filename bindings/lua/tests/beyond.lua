-- What the library can do beyond its model: further keys of params and of network.configure().

local support = require "support"
local network, test, equal = support.network, support.test, support.equal

support.configure()

-- params ----------------------------------------

test("stallTimeout ends a response that stalls", function()
    local event = support.fetch(support.url("/stall?sent=10"), "GET", { stallTimeout = 0.3, timeout = math.huge })
    support.failed(event, "300 ms")
end)

test("minBytesPerSecond ends a response that is too slow", function()
    local params = { minBytesPerSecond = 1000000, minSpeedPeriod = 0.1 }
    support.failed(support.fetch(support.url("/stall?sent=10"), "GET", params), "1000000")
    params.minSpeedPeriod = math.huge
    equal(#support.fetch_fine(support.url("/slow?bytes=2000&rate=10000"), "GET", params).response, 2000)
    support.failed(support.fetch(support.url("/bytes/1"), "GET", { minSpeedPeriod = 0.01 }), "100 or more")
end)

test("proxy is one request's own", function()
    support.failed(support.fetch(support.url("/bytes/1"), "GET", { proxy = "http://127.0.0.1:1" }))
    support.failed(support.fetch(support.url("/bytes/1"), "GET", { proxy = "gopher://127.0.0.1:1" }), "proxy")
    equal(support.fetch_fine(support.url("/bytes/1"), "GET", { proxy = "" }).status, 200)
end)

test("responseTrailers has what came after the body", function()
    local event = support.fetch_fine(support.url("/chunked-trailers"))
    support.contains(event.responseTrailers["x-checksum"], "20 ")
    equal(next(event.responseTrailers), "X-Checksum")
    equal(event.responseHeaders["X-Checksum"], nil)
    equal(support.fetch_fine(support.url("/bytes/1")).responseTrailers, nil)
end)

test("debug tells that credentials were of no use", function()
    local path = support.reply({ 'WWW-Authenticate: Digest realm="a"', status = 401 })
    local params = { username = "me", password = "secret", debug = true }
    equal(support.fetch_fine(support.url(path), "GET", params).debug.credentialsUnused, true)
    equal(support.fetch_fine(support.url(path), "GET", { debug = true }).debug.credentialsUnused, false)
end)

test("timeout may be math.huge", function()
    equal(support.fetch_fine(support.url("/bytes/1"), "GET", { timeout = math.huge }).status, 200)
end)

test("maxRedirects limits redirects", function()
    equal(support.fetch_fine(support.url("/redirect/2"), "GET", { maxRedirects = 2 }).status, 200)
    support.failed(support.fetch(support.url("/redirect/3"), "GET", { maxRedirects = 2 }), "redirect")
end)

test("insecureRedirects follows from https to http", function()
    local path = support.reply({ "Location: " .. support.url("/bytes/3"), status = 302 })
    equal(#support.fetch_fine(support.secure_url(path), "GET", { insecureRedirects = true }).response, 3)
end)

test("maxBodyBytes limits one response", function()
    equal(#support.fetch_fine(support.url("/bytes/100"), "GET", { maxBodyBytes = 100 }).response, 100)
    support.failed(support.fetch(support.url("/bytes/101"), "GET", { maxBodyBytes = 100 }), "100")
end)

test("maxAttempts makes a failed request again", function()
    local function flaky(params, method)
        local url = support.url("/flaky?fails=2&key=" .. support.unique("key"))
        params.retryDelay, params.debug = 0.01, true
        return support.fetch_fine(url, method, params)
    end
    local event = flaky({ maxAttempts = 3 })
    equal(event.status, 200)
    equal(event.response, "3")
    equal(event.debug.attempts, 3)
    event = flaky({ maxAttempts = 2 })
    equal(event.status, 503)
    equal(event.debug.attempts, 2)
    equal(flaky({}).debug.attempts, 1)
    equal(flaky({ maxAttempts = 3, body = "x" }, "POST").debug.attempts, 1)
    equal(flaky({ maxAttempts = 3, body = "x", retryAnyMethod = true }, "POST").response, "3")
end)

test("attemptTimeout ends one attempt", function()
    local event = support.fetch(support.url("/stall-headers"), "GET",
        { attemptTimeout = 0.2, maxAttempts = 2, retryDelay = 0.01, debug = true })
    support.failed(event)
    equal(event.debug.attempts, 2)
end)

test("expectedSha256 and expectedLength hold the body against them", function()
    local abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    local url, name = support.url(support.reply({ body = "abc" })), support.unique("file")
    support.write_file(support.path(name), "old")
    equal(support.fetch_fine(url, "GET", { expectedSha256 = abc, expectedLength = 3 }).response, "abc")
    local other = abc:gsub("^b", "c")
    for _, params in ipairs({ { expectedSha256 = other }, { expectedLength = 4 }, { expectedLength = 2 } }) do
        support.failed(support.fetch(url, "GET", params))
        params.response = { filename = name }
        support.failed(support.fetch(url, "GET", params))
        equal(support.read_file(support.path(name)), "old")
    end
    support.failed(support.fetch(url, "GET", { expectedSha256 = "abc" }), "64 hexadecimal digits")
end)

test("username, password and bearerToken authenticate", function()
    local url = support.url("/basic-auth?user=zoe&password=gr%C3%BC%C3%9Fe")
    equal(support.fetch_fine(url, "GET", { username = "zoe", password = "gr\195\188\195\159e" }).status, 200)
    equal(support.fetch_fine(url, "GET", { username = "zoe", password = "x" }).status, 401)
    equal(support.fetch_fine(support.url("/bearer?token=t0k3n"), "GET", { bearerToken = "t0k3n" }).status, 200)
end)

test("httpVersion chooses the version", function()
    equal(support.fetch_fine(support.url("/bytes/1"), "GET", { httpVersion = "1.1" }).status, 200)
    -- The server does not know the other one.
    support.failed(support.fetch(support.url("/bytes/1"), "GET", { httpVersion = "2" }))
end)

test("cookies = false neither sends nor keeps any", function()
    network.clearCookies()
    support.fetch_fine(support.url("/cookie/set?a=1;%20Path=/"), "GET", { cookies = false })
    equal(support.fetch_fine(support.url("/cookie/show")).response, "")
    support.fetch_fine(support.url("/cookie/set?a=1;%20Path=/"))
    equal(support.fetch_fine(support.url("/cookie/show"), "GET", { cookies = false }).response, "")
    equal(support.fetch_fine(support.url("/cookie/show")).response, "a=1")
    network.clearCookies()
end)

test("sync = false writes a file all the same", function()
    local name = support.unique("file")
    support.fetch_fine(support.url("/bytes/10"), "GET", { sync = false, response = { filename = name } })
    equal(#support.read_file(support.path(name)), 10)
end)

test("rawText leaves text in its own charset", function()
    local url = support.url(support.reply({ "Content-Type: text/plain; charset=ISO-8859-1", body = "\252" }))
    local event = support.fetch_fine(url, "GET", { rawText = true })
    equal(event.response, "\252")
    equal(event.responseType, "text")
end)

test("debug tells the URL that answered, redirects and times", function()
    local found = support.fetch_fine(support.url("/redirect/2"), "GET", { debug = true }).debug
    equal(found.url, support.url("/bytes/2"))
    equal(found.redirects, 2)
    for _, key in ipairs({ "queued", "nameLookup", "connect", "tls", "firstByte", "total" }) do
        assert(found[key] >= 0 and found[key] < support.deadline, key)
    end
    assert(found.total > 0)
    equal(found.tls, 0)
    assert(support.fetch_fine(support.secure_url("/bytes/1", "localhost"), "GET", { debug = true }).debug.total > 0)
end)

test("wrong values of further keys are errors, not raised", function()
    for key, wrong in pairs({
        connectTimeout = { "x", 0, -1, true }, stallTimeout = { "x", 0, {} }, queueTimeout = { "x", 0 },
        attemptTimeout = { "x", 0 }, retryDelay = { "x", -1 }, maxRetryDelay = { "x", -1 },
        maxRedirects = { "x", 1.5, -1, 1e9 }, maxAttempts = { "x", 1.5, -1, 1e9 }, maxBodyBytes = { "x", -1, 0.5 },
        expectedLength = { "x", -1, 0.5 }, expectedSha256 = { 5, "x", {} }, priority = { 1, "highest" },
        httpVersion = { 2, "3" }, username = { 5, {}, "a:b", "a\0b" }, password = { 5 }, bearerToken = { 5, "a\nb" },
        cookies = { 1 }, sync = { 1 }, rawText = { 1 }, insecureRedirects = { "yes" }, retryAnyMethod = { 1 },
    }) do
        for _, value in ipairs(wrong) do
            local event = support.fetch(support.url("/bytes/1"), "GET", { [key] = value })
            if not event.isError then
                error(key .. " = " .. tostring(value) .. " was accepted")
            end
        end
    end
end)

test("params may inherit, headers do not", function()
    local params = setmetatable({}, { __index = { method = "x", body = "inherited", timeout = 20 } })
    equal(support.fetch_fine(support.url("/echo"), "POST", params).response, "inherited")
    local path = "/" .. support.unique("inherits")
    support.stub(path, {})
    support.fetch_fine(support.url(path), "GET", { headers = setmetatable({ A = "1" }, { __index = { B = "2" } }) })
    equal(support.last(path).headers.a, "1")
    equal(support.last(path).headers.b, nil)
end)

-- configure ----------------------------------------

--- Runs a piece in a process of its own with these settings beside those of tests; what it prints must be this.
local function prints(wanted, settings, piece, ...)
    equal(support.run_piece("support.configure(" .. settings .. ")\n" .. piece, ...), wanted)
end

test("priority decides which waiting request starts first", function()
    prints("high normal low\n", "{ maxActive = 1 }", [[
        local order = {}
        network.request(support.url("/delay?ms=300"), "GET", function() end)
        for _, priority in ipairs{ "low", "normal", "high" } do
            network.request(support.url("/bytes/1"), "GET", function() order[#order + 1] = priority end,
                { priority = priority })
        end
        support.wait_for(function() return #order == 3 end)
        print(table.concat(order, " "))
    ]])
end)

test("queueTimeout ends a request that waits", function()
    prints("true\t-1\n", "{ maxActivePerHost = 1 }", [[
        local handle = network.request(support.url("/stall"), "GET", print)
        local event = support.fetch(support.url("/bytes/1"), "GET", { queueTimeout = 0.2 })
        network.cancel(handle)
        print(event.isError, event.status)
    ]])
end)

test("maxRequests limits what may be under way", function()
    prints("true\n", "{ maxRequests = 2 }", [[
        for _ = 1, 2 do network.request(support.url("/stall"), "GET", print) end
        print(support.fetch(support.url("/bytes/1")).isError)
    ]])
end)

test("userAgent and defaultHeaders go with each request", function()
    prints("true\ttrue\ttrue\n", "{ userAgent = 'game/1', defaultHeaders = { A = 1, B = 'default' } }", [[
        local seen = support.fetch_fine(support.url("/inspect"), "GET", { headers = { B = "own" } }).response
        local function has(line) return seen:find(line, 1, true) ~= nil end
        print(has("User-Agent: game/1\n"), has("A: 1\n"), has("B: own\n") and not has("default"))
    ]])
end)

test("timeouts of the client hold for all", function()
    prints("true\n", "{ timeout = 0.3 }", [[
        print(support.fetch(support.url("/stall-headers")).isError)
    ]])
end)

test("minTlsVersion, pins and client certificates are set", function()
    prints("200\n", "{ minTlsVersion = '1.3' }", "print(support.fetch(support.secure_url('/bytes/1')).status)")
    local wrong = "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    prints("true\n", "{ pins = { { host = '127.0.0.1', publicKeys = '" .. wrong .. "' } } }",
        "print(support.fetch(support.secure_url('/bytes/1')).isError)")
    local missing = support.run_piece([[
        support.configure{ clientCertificates = { { host = "a.test", certificateFile = "/nowhere.pem" } } }
        local event = support.fetch(support.url("/bytes/1"))
        print(event.isError, event.response)
    ]])
    support.contains(missing, "true\t")
    support.contains(missing, "/nowhere.pem")
end)

test("configure may come often, and the last value holds", function()
    prints("second\tfirst\n", "{ userAgent = 'first', defaultHeaders = { A = 'first' } }", [[
        network.configure{ userAgent = "second" }
        local seen = support.fetch_fine(support.url("/inspect")).response
        print(seen:match("User%-Agent: (%w+)"), seen:match("A: (%w+)"))
    ]])
end)

test("configure that fails changes nothing", function()
    prints("first\n", "{ userAgent = 'first' }", [[
        assert(not pcall(network.configure, { userAgent = "second", nonsense = true }))
        assert(not pcall(network.configure, { userAgent = "second", timeout = "x" }))
        print(support.fetch_fine(support.url("/inspect")).response:match("User%-Agent: (%w+)"))
    ]])
end)

test("configure copies its tables", function()
    prints("first\n", "{}", [[
        local headers = { A = "first" }
        network.configure{ defaultHeaders = headers }
        headers.A = "second"
        print(support.fetch_fine(support.url("/inspect")).response:match("A: (%w+)"))
    ]])
end)

test("client that cannot be made is told to the listener", function()
    local output = support.run_piece([[
        network.configure{ caFile = "/nowhere.pem" }
        local event = support.fetch(support.url("/bytes/1"))
        print(event.isError, event.response)
    ]])
    support.contains(output, "true\t")
    support.contains(output, "/nowhere.pem")
end)

test("onWarning is told, or stderr", function()
    support.contains(support.run_piece([[
        network.configure{ proxy = "" }
        support.fetch_fine(support.url("/method"), "PURGE")
    ]]), "PURGE")
    prints("warned\n", "{ onWarning = function() print('warned') end }",
        "support.fetch_fine(support.url('/method'), 'PURGE')")
end)

-- The rest ----------------------------------------

test("stats count what has happened", function()
    local before = network.stats()
    support.fetch_fine(support.url("/bytes/1000"))
    support.fetch(support.url("/truncate"))
    local after = network.stats()
    equal(after.submitted, before.submitted + 2)
    equal(after.ended, before.ended + 2)
    equal(after.failed, before.failed + 1)
    assert(after.bytesReceived >= before.bytesReceived + 1000)
    for _, key in ipairs({ "waiting", "active", "undrained", "bytesSent", "bufferedBytes", "connections" }) do
        equal(type(after[key]), "number", key)
    end
end)

test("getCookies tells what a URL would be sent", function()
    network.clearCookies()
    assert(network.setCookie(support.url("/"), "a=1; Path=/"))
    assert(network.setCookie(support.url("/"), "large=" .. ("x"):rep(4000) .. "; Path=/"))
    support.fetch_fine(support.url("/bytes/1"))
    equal(network.getCookies(support.url("/")), "a=1; large=" .. ("x"):rep(4000))
    equal(network.getCookies("http://other.test/"), "")
    equal(network.getCookies("nothing"), nil)
    support.contains(select(2, network.getCookies("nothing")), "absolute")
    support.contains(select(2, network.getCookies("http://a/\0")), "NUL")
    support.raises("network.getCookies: 'url' parameter must be a string (got nil)", network.getCookies)
    network.clearCookies()
end)

test("setCookie and clearCookies give nil and why not", function()
    equal(network.setCookie(support.url("/"), "a=1"), true)
    equal(network.clearCookies(), true)
    for _, bad in ipairs({ { "no url", "a=1" }, { support.url("/"), "a=1; Domain=elsewhere.test" },
        { "ftp://127.0.0.1/", "a=1" }, { support.url("/"), "a\0b=1" } }) do
        local kept, why = network.setCookie(bad[1], bad[2])
        equal(kept, nil)
        equal(type(why), "string")
    end
    support.raises({ "network.setCookie", "(got number)" }, network.setCookie, 5, "a=1")
    support.raises({ "network.setCookie", "(got nil)" }, network.setCookie, support.url("/"))
end)

test("pathForFile gives a path in each base directory", function()
    equal(network.pathForFile("a", network.CachesDirectory), support.path("a", "caches"))
    equal(network.pathForFile("a"), support.path("a"))
    equal(network.pathForFile(nil, network.TemporaryDirectory), support.folder() .. "/temporary")
    support.raises({ "network.pathForFile", "(got table)" }, network.pathForFile, {})
    support.raises({ "network.pathForFile", "(got number)" }, network.pathForFile, "a", 5)
end)

test("version is told", function()
    assert(network.version:match("^%d+%.%d+%.%d+$"), network.version)
end)

test("the README's first program works as pasted", function()
    local readme = support.read_file(support.here .. "../README.md")
    local program = readme:match("\n```lua\n(.-)```\n")
    support.contains(program, "https://example.com/")
    support.stub("/", { "Content-Type: text/plain", body = "a page" }, true)
    local output, status = support.run_piece(string.format([[
        network.configure{ proxy = "", caFile = %q,
            resolves = { { host = "example.com", port = 443, address = "127.0.0.1", addressPort = %d } } }
    ]], support.ca_file, support.secure_port()) .. program)
    support.contains(output, "200\ttext/plain\t6 bytes\n")
    equal(status, 0)
end)
