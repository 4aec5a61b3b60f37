-- Redirects, what goes along with them, and cookies.

local support = require "support"
local network, test, equal = support.network, support.test, support.equal

support.configure({
    resolves = {
        { host = "one.test", address = "127.0.0.1" },
        { host = "sub.one.test", address = "127.0.0.1" },
        { host = "two.test", address = "127.0.0.1" },
        { host = "a.test", address = "127.0.0.1" },
    },
})

--- A path that redirects to a URL.
local function redirect(url, status, ...)
    return support.reply({ "Location: " .. url, status = status or 302, ... })
end

test("redirects are followed hop by hop", function()
    local event = support.fetch_fine(support.url("/redirect/20"))
    equal(event.status, 200)
    equal(#event.response, 2)
end)

test("relative and other origins' locations are followed", function()
    equal(support.fetch_fine(support.url("/relative-redirect")).status, 200)
    equal(support.fetch_fine(support.url(redirect(support.url("/bytes/3", "two.test")))).status, 200)
    equal(support.fetch_fine(support.url(redirect(support.secure_url("/bytes/3")))).status, 200)
end)

test("endless redirects are an error", function()
    support.failed(support.fetch(support.url("/redirect-loop")), "redirect")
    support.failed(support.fetch(support.url("/redirect/21")), "redirect")
end)

test("redirect from https to http is an error", function()
    support.failed(support.fetch(support.secure_url(redirect(support.url("/bytes/1")))))
end)

test("redirect to another scheme is an error", function()
    for _, url in ipairs({ "file:///etc/passwd", "ftp://127.0.0.1/", "javascript:alert(1)" }) do
        support.failed(support.fetch(support.url(redirect(url))))
    end
end)

test("POST becomes GET after 301, 302 and 303, and stays POST after 307 and 308", function()
    for status, method in pairs({ [301] = "GET", [302] = "GET", [303] = "GET", [307] = "POST", [308] = "POST" }) do
        local path = "/" .. support.unique("target")
        support.stub(path, {})
        support.fetch_fine(support.url(redirect(path, status)), "POST", { body = "12345" })
        local request = support.last(path)
        equal(request.line:match("^%S+"), method, tostring(status))
        equal(request.body, method == "POST" and "12345" or "", tostring(status))
    end
end)

test("credentials do not go to another origin", function()
    local secrets = { headers = { Authorization = "Basic c2VjcmV0", Cookie = "secret=1", ["X-API-Key"] = "secret" } }
    local path = "/" .. support.unique("target")
    support.stub(path, {})
    support.fetch_fine(support.url(redirect(support.url(path, "two.test"))), "GET", secrets)
    local request = support.last(path)
    equal(request.count, 1)
    for _, name in ipairs({ "authorization", "cookie", "x-api-key" }) do
        equal(request.headers[name], nil, name)
    end
    -- The same origin gets them.
    support.fetch_fine(support.url(redirect(path)), "GET", secrets)
    request = support.last(path)
    equal(request.headers.authorization, "Basic c2VjcmV0")
    equal(request.headers["x-api-key"], "secret")
end)

test("credentials in the URL are sent and not shown", function()
    local url = support.url("/basic-auth?user=zoe&password=secret")
    local event = support.fetch_fine((url:gsub("//", "//zoe:secret@", 1)))
    equal(event.status, 200)
    assert(not event.url:find("secret@", 1, true), event.url)
end)

-- Cookies ----------------------------------------

--- What a host is told of cookies.
local function cookies(host, path, secure)
    return support.fetch_fine((secure and support.secure_url or support.url)(path or "/cookie/show", host)).response
end

local function set_cookies(host, query, secure)
    support.fetch_fine((secure and support.secure_url or support.url)("/cookie/set?" .. query, host))
end

test("cookies are kept and sent", function()
    network.clearCookies()
    equal(cookies("one.test"), "")
    set_cookies("one.test", "a=1; Path=/&b=2; Path=/")
    local sent = cookies("one.test")
    support.contains(sent, "a=1")
    support.contains(sent, "b=2")
    equal(#sent, #"a=1; b=2")
    set_cookies("one.test", "a=3; Path=/")
    support.contains(cookies("one.test"), "a=3")
    equal(#cookies("one.test"), #"a=1; b=2")
end)

test("cookies go to their host alone", function()
    network.clearCookies()
    set_cookies("one.test", "a=1; Path=/")
    equal(cookies("two.test"), "")
    equal(cookies("sub.one.test"), "")
    equal(cookies("127.0.0.1"), "")
    equal(cookies("one.test"), "a=1")
end)

test("cookies of a domain go to hosts below it", function()
    network.clearCookies()
    set_cookies("one.test", "a=1; Path=/; Domain=one.test")
    equal(cookies("sub.one.test"), "a=1")
    equal(cookies("two.test"), "")
end)

test("cookies for a foreign domain are not kept", function()
    network.clearCookies()
    set_cookies("one.test", "a=1; Path=/; Domain=two.test&b=2; Path=/; Domain=test")
    equal(cookies("two.test"), "")
    equal(cookies("one.test"), "")
end)

test("cookies go to their path alone", function()
    network.clearCookies()
    set_cookies("one.test", "a=1; Path=/cookie&b=2; Path=/other&c=3")
    local sent = cookies("one.test")
    support.contains(sent, "a=1")
    support.contains(sent, "c=3")
    assert(not sent:find("b=2", 1, true), sent)
end)

test("cookies end when they expire", function()
    network.clearCookies()
    set_cookies("one.test", "a=1; Path=/&b=2; Path=/")
    set_cookies("one.test", "a=1; Path=/; Max-Age=0")
    equal(cookies("one.test"), "b=2")
    set_cookies("one.test", "b=2; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
    equal(cookies("one.test"), "")
end)

test("secure cookies go over https alone", function()
    network.clearCookies()
    set_cookies("a.test", "a=1; Path=/; Secure", true)
    equal(cookies("a.test", nil, true), "a=1")
    equal(cookies("a.test"), "")
    -- Nor may http set them.
    set_cookies("one.test", "b=1; Path=/; Secure")
    equal(cookies("one.test"), "")
end)

test("cookies of a redirect are sent to its target", function()
    network.clearCookies()
    local login = redirect(support.url("/cookie/show", "one.test"), 302, "Set-Cookie: session=42; Path=/")
    equal(support.fetch_fine(support.url(login, "one.test")).response, "session=42")
    -- Another host's redirect does not set this host's.
    network.clearCookies()
    login = redirect(support.url("/cookie/show", "one.test"), 302, "Set-Cookie: session=42; Path=/")
    equal(support.fetch_fine(support.url(login, "two.test")).response, "")
    equal(cookies("two.test"), "session=42")
end)

test("Cookie header of the request goes along", function()
    network.clearCookies()
    set_cookies("one.test", "a=1; Path=/")
    local event = support.fetch_fine(support.url("/cookie/show", "one.test"), "GET", { headers = { Cookie = "own=2" } })
    support.contains(event.response, "own=2")
end)

test("setCookie and clearCookies", function()
    network.clearCookies()
    network.setCookie(support.url("/", "one.test"), "set=by-hand; Path=/")
    equal(cookies("one.test"), "set=by-hand")
    network.clearCookies()
    equal(cookies("one.test"), "")
end)

test("client without cookies keeps none", function()
    local output = support.run_piece([[
        support.configure{ cookies = false }
        support.fetch_fine(support.url("/cookie/set?a=1"))
        print("sent: [" .. support.fetch_fine(support.url("/cookie/show")).response .. "]")
    ]])
    support.contains(output, "sent: []")
end)

test("cookies may be kept in a file", function()
    local file = support.folder() .. "/" .. support.unique("cookies")
    local piece = [[
        support.configure{ cookieFile = arg[1] }
        if arg[2] == "set" then
            support.fetch_fine(support.url("/cookie/set?kept=1;%20Path=/;%20Max-Age=1000&session=1;%20Path=/"))
        end
        print("sent: [" .. support.fetch_fine(support.url("/cookie/show")).response .. "]")
        network.shutdown()
    ]]
    support.contains(support.run_piece(piece, file, "set"), "session=1")
    support.contains(support.run_piece(piece, file), "sent: [kept=1]")
end)
