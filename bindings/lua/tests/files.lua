-- Bodies that come from files and go to files.

local support = require "support"
local network, test, equal = support.network, support.test, support.equal

support.configure()

local bases = {
    documents = "DocumentsDirectory",
    temporary = "TemporaryDirectory",
    caches = "CachesDirectory",
    support = "ApplicationSupportDirectory",
}

local function to_file(path, name, base, more)
    local params = more or {}
    params.response = { filename = name, baseDirectory = base }
    return support.fetch(support.url(path), "GET", params)
end

-- Responses ----------------------------------------

test("response goes to a file in each base directory", function()
    for folder, constant in pairs(bases) do
        local base, name = network[constant], support.unique("file")
        assert(base ~= nil, constant)
        local event = to_file("/bytes/3000", name, base)
        equal(event.isError, false, constant)
        equal(event.response.filename, name)
        equal(event.response.baseDirectory, base)
        equal(event.response.fullPath, support.path(name, folder))
        equal(#support.read_file(event.response.fullPath), 3000)
    end
end)

test("base directory is the documents by default", function()
    local name = support.unique("file")
    local event = to_file("/bytes/3", name)
    equal(event.response.fullPath, support.path(name))
    equal(event.response.baseDirectory, network.DocumentsDirectory)
end)

test("resource directory is not written to, the documents are, with a warning", function()
    local name = support.unique("file")
    local event = to_file("/bytes/3", name, network.ResourceDirectory)
    equal(event.isError, false)
    equal(support.read_file(support.path(name, "resources")), nil)
    equal(#support.read_file(support.path(name)), 3)
    equal(event.response.fullPath, support.path(name))
    equal(#support.warnings, 1, "warnings")
    support.contains(tostring(support.warnings[1][1]), "ResourceDirectory")
end)

test("name that would leave its base directory is refused", function()
    support.command("ln -s .. '" .. support.path("link") .. "'")
    for _, name in ipairs({ "../file", "a/../../file", "/file", "link/file", "..", ".", "", "a\0b" }) do
        local event = to_file("/bytes/3", name)
        support.failed(event)
    end
    equal(support.names(support.folder()), "caches\ndocuments\nresources\nsupport\ntemporary\n")
end)

test("missing folders below a base directory are made", function()
    local name = support.unique("folder") .. "/deep/deeper/file"
    equal(to_file("/bytes/4", name, network.CachesDirectory).isError, false)
    equal(#support.read_file(support.path(name, "caches")), 4)
end)

test("file of an earlier response is replaced", function()
    local name = support.unique("file")
    support.write_file(support.path(name), "an old and longer content")
    to_file("/bytes/4", name)
    equal(#support.read_file(support.path(name)), 4)
end)

test("error response leaves the file alone and comes as a string", function()
    local folder = support.unique("folder")
    support.command("mkdir '" .. support.path(folder) .. "'")
    for _, status in ipairs({ 404, 500, 304 }) do
        local name = folder .. "/file"
        support.write_file(support.path(name), "old")
        local event = to_file("/status/" .. status .. "?body=gone", name)
        equal(event.isError, false)
        equal(event.status, status)
        equal(event.response, status == 304 and "" or "gone")
        equal(support.read_file(support.path(name)), "old")
        equal(support.names(support.path(folder)), "file\n")
        event = to_file("/status/" .. status .. "?body=gone", folder .. "/new")
        equal(support.names(support.path(folder)), "file\n")
    end
end)

test("response that was cut short leaves the file alone", function()
    local folder = support.unique("folder")
    support.command("mkdir '" .. support.path(folder) .. "'")
    support.write_file(support.path(folder .. "/file"), "old")
    for _, path in ipairs({ "/truncate?declared=100000", "/reset?after=5000", "/bad-gzip?kind=truncated",
        "/bad-chunk" }) do
        support.failed(to_file(path, folder .. "/file"))
        equal(support.read_file(support.path(folder .. "/file")), "old", path)
        equal(support.names(support.path(folder)), "file\n", path)
    end
end)

test("cancelled download leaves the file alone", function()
    local folder, gate = support.unique("folder"), support.unique("gate")
    support.command("mkdir '" .. support.path(folder) .. "'")
    support.write_file(support.path(folder .. "/file"), "old")
    local events, handle = support.start(support.url("/held/" .. gate .. "?bytes=100000"), "GET",
        { progress = "download", response = { filename = folder .. "/file" } })
    support.wait_for(function()
        return #events > 0
    end)
    network.cancel(handle)
    support.settle()
    equal(support.read_file(support.path(folder .. "/file")), "old")
    equal(support.names(support.path(folder)), "file\n")
end)

test("file is never transcoded", function()
    local name = support.unique("file")
    local reply = support.reply({ "Content-Type: text/plain; charset=ISO-8859-1", body = "\252" })
    local event = to_file(reply, name)
    equal(event.responseType, "binary")
    equal(support.read_file(support.path(name)), "\252")
end)

test("compressed response is a file of what it says", function()
    local name = support.unique("file")
    to_file("/gzip?bytes=50000", name)
    equal(#support.read_file(support.path(name)), 50000)
end)

test("file that cannot be written is an error", function()
    local folder = support.unique("folder")
    support.command("mkdir '" .. support.path(folder) .. "'")
    support.failed(to_file("/bytes/3", folder), folder)
end)

test("empty response is an empty file", function()
    local name = support.unique("file")
    equal(to_file("/bytes/0", name).isError, false)
    equal(support.read_file(support.path(name)), "")
end)

test("redirected response is a file of the last one", function()
    local name = support.unique("file")
    local event = to_file("/redirect/2", name)
    equal(event.status, 200)
    equal(#support.read_file(support.path(name)), 2)
end)

test("bad values in response are errors", function()
    for _, value in ipairs({ "file", 5, true, {}, { filename = 5 }, { filename = {} }, { baseDirectory = 1 },
        { filename = "a", baseDirectory = "documents" }, { filename = "a", baseDirectory = 77 } }) do
        local event = support.fetch(support.url("/bytes/1"), "GET", { response = value })
        support.failed(event, "response")
    end
end)

-- Requests ----------------------------------------

--- Sends a file; gives what the server saw.
local function send_file(content, params, folder, base)
    local path, name = "/" .. support.unique("sent"), support.unique("file")
    support.stub(path, {})
    support.write_file(support.path(name, folder), content)
    params = params or {}
    params.body = { filename = name, baseDirectory = base }
    local event = support.fetch_fine(support.url(path), "POST", params)
    local request = support.last(path)
    return request, event
end

test("body comes from a file in each base directory", function()
    equal(send_file("content").body, "content")
    for folder, constant in pairs(bases) do
        equal(send_file("of " .. folder, nil, folder, network[constant]).body, "of " .. folder)
    end
    equal(send_file("of resources", nil, "resources", network.ResourceDirectory).body, "of resources")
end)

test("file is binary by default", function()
    local request = send_file("\0\1\255")
    equal(request.body, "\0\1\255")
    equal(request.headers["content-type"], "application/octet-stream")
    equal(request.headers["content-length"], "3")
end)

test("Content-Type of a binary file is left alone", function()
    local request = send_file("{}", { headers = { ["Content-Type"] = "application/json" } })
    equal(request.headers["content-type"], "application/json")
end)

test("file may be text", function()
    equal(send_file("x", { bodyType = "text" }).headers["content-type"], "text/plain; charset=UTF-8")
    local json = { bodyType = "text", headers = { ["Content-Type"] = "application/json" } }
    equal(send_file("{}", json).headers["content-type"], "application/json; charset=UTF-8")
end)

test("text of a file is encoded into the charset that is named", function()
    local latin = { bodyType = "text", headers = { ["Content-Type"] = "text/plain; charset=ISO-8859-1" } }
    local request = send_file("gr\195\188\195\159e", latin)
    equal(request.body, "gr\252\223e")
    equal(request.headers["content-length"], "5")
end)

test("large file is sent whole", function()
    local name = support.unique("file")
    support.write_file(support.path(name), ("0123456789abcdef"):rep(256 * 1024))
    local event = support.fetch_fine(support.url("/upload"), "PUT", { body = { filename = name } })
    equal(event.response:match("^%d+"), tostring(4 * 1024 * 1024))
end)

test("body from a file that is not there is an error", function()
    local event = support.fetch(support.url("/upload"), "POST", { body = { filename = "nowhere" } })
    support.failed(event, "nowhere")
    event = support.fetch(support.url("/upload"), "POST", { body = { filename = "../documents" } })
    support.failed(event)
end)

test("bad values in body are errors", function()
    for _, value in ipairs({ 5, true, print, {}, { filename = 5 }, { filename = false },
        { filename = "a", baseDirectory = "caches" } }) do
        support.failed(support.fetch(support.url("/upload"), "POST", { body = value }), "body")
    end
end)

test("constants of base directories differ and print well", function()
    local seen = {}
    for _, name in ipairs({ "DocumentsDirectory", "TemporaryDirectory", "CachesDirectory",
        "ApplicationSupportDirectory", "ResourceDirectory" }) do
        local value = network[name]
        assert(value ~= nil, name)
        assert(not seen[value], name)
        seen[value] = true
        support.contains(tostring(value), name)
    end
end)
