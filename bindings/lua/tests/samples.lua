-- The samples of the reference, unmodified, and some of our own, against local servers that stand in for the hosts they
-- name.

local support = require "support"
local network, test, equal = support.network, support.test, support.equal

support.configure()

--- Starts a sample and gives its output: a pipe.
local function start(name, https_port)
    local i = -1
    while _G.arg[i - 1] do
        i = i - 1
    end
    local folder, samples = support.folder(), support.here .. "samples/"
    local words = {
        _G.arg[i], samples .. "game.lua", samples .. name .. ".lua", folder .. "/documents", folder .. "/temporary",
        support.port(), https_port or support.secure_port(), support.ca_file,
    }
    for at, word in ipairs(words) do
        words[at] = "'" .. word .. "'"
    end
    return io.popen(table.concat(words, " ") .. " 2>&1")
end

local function run(name, https_port)
    local pipe = start(name, https_port)
    local output = pipe:read("*a")
    pipe:close()
    return output
end

--- Reads lines of a pipe until one begins so; gives all of them.
local function read_until(pipe, beginning)
    local lines = {}
    for line in pipe:lines() do
        lines[#lines + 1] = line
        if line:sub(1, #beginning) == beginning then
            return lines
        end
    end
    error(beginning .. " did not come, but this:\n" .. table.concat(lines, "\n"), 2)
end

test("sample: a page over SSL", function()
    local page = "<!doctype html>\n<title>gr\195\188\195\159e</title>\n"
    support.stub("/", {
        "Content-Type: text/html; charset=ISO-8859-1", body = "<!doctype html>\n<title>gr\252\223e</title>\n",
    }, true)
    equal(run("get"), "RESPONSE: " .. page .. "\n")
    local request = support.last("/", true)
    equal(request.line, "GET / HTTP/1.1")
    equal(request.headers.host, "encrypted.google.com")
    equal(request.headers["content-type"], nil)
    equal(request.body, "")
end)

test("sample: a page over SSL from a server that is not there", function()
    local output = run("get", 1)
    equal(output:match("^Network error: \t"), "Network error: \t", output)
    support.contains(output, "encrypted.google.com")
end)

test("sample: data via POST", function()
    support.stub("/formhandler.php", { "Content-Type: text/html", body = "<p>thanks</p>" })
    equal(run("post"), "RESPONSE: <p>thanks</p>\n")
    local request = support.last("/formhandler.php")
    equal(request.line, "POST /formhandler.php HTTP/1.1")
    equal(request.headers.host, "127.0.0.1")
    equal(request.headers["content-type"], "application/x-www-form-urlencoded; charset=UTF-8")
    equal(request.headers["accept-language"], "en-US")
    equal(request.headers["content-length"], "20")
    equal(request.body, "color=red&size=small")
end)

test("sample: a file with progress", function()
    local gate, size = support.unique("gate"), 300000
    local path = "/images/simulator/image-mask-base2.png"
    support.stub(path, "/held/" .. gate .. "?bytes=" .. size .. "&sent=100000", true)
    local pipe = start("download_progress")
    local lines = read_until(pipe, "Download progress: 100000 of")
    support.fetch_fine(support.secure_url("/open/" .. gate))
    for line in pipe:lines() do
        lines[#lines + 1] = line
    end
    pipe:close()
    equal(lines[1], "Download starting, estimated size: 300000")
    equal(lines[#lines], "Download complete, total bytes transferred: 300000")
    local before = 0
    for i = 2, #lines - 1 do
        local transferred = lines[i]:match("^Download progress: (%d+) of estimated: 300000$")
        assert(transferred, lines[i])
        assert(tonumber(transferred) > before, lines[i])
        before = tonumber(transferred)
    end
    local file = support.read_file(support.path("solar.jpg"))
    equal(#file, size)
    equal(file, support.fetch_fine(support.secure_url("/bytes/" .. size)).response)
    equal(support.last(path, true).line, "GET " .. path .. " HTTP/1.1")
    equal(support.last(path, true).headers.host, "docs.coronalabs.com")
end)

test("sample: a file of unknown size with progress", function()
    local gate = support.unique("gate")
    local path = "/images/simulator/image-mask-base2.png"
    support.stub(path, "/held/" .. gate .. "?bytes=3000&sent=1000&chunked=1", true)
    local pipe = start("download_progress")
    local lines = read_until(pipe, "Download progress: 1000")
    support.fetch_fine(support.secure_url("/open/" .. gate))
    for line in pipe:lines() do
        lines[#lines + 1] = line
    end
    pipe:close()
    equal(lines[1], "Download starting, size unknown")
    equal(lines[#lines], "Download complete, total bytes transferred: 3000")
end)

test("sample: a file with progress that is not found", function()
    support.stub("/images/simulator/image-mask-base2.png", { status = 404, body = "not found" }, true)
    support.write_file(support.path("solar.jpg"), "old")
    support.contains(run("download_progress"), "Download complete, total bytes transferred: 9\n")
    equal(support.read_file(support.path("solar.jpg")), "old")
end)

test("sample: text from a file", function()
    support.write_file(support.path("object.json"), "{\"name\": \"gr\195\188\195\159e\"}")
    support.stub("/restapi.php", { body = "ok" })
    equal(run("upload_file"), "Upload complete!\n")
    local request = support.last("/restapi.php")
    equal(request.line, "POST /restapi.php HTTP/1.1")
    equal(request.headers["content-type"], "application/json")
    equal(request.headers["x-api-key"], "13b6ac91a2")
    equal(request.headers["content-length"], "19")
    equal(request.body, "{\"name\": \"gr\195\188\195\159e\"}")
end)

test("sample: text from a file that is not there", function()
    os.remove(support.path("object.json"))
    local output = run("upload_file")
    equal(output:match("^Network error: \t"), "Network error: \t", output)
    support.contains(output, "object.json")
end)

-- Our own ----------------------------------------

test("sample: network.download", function()
    support.stub("/level.dat", { body = "LVL1 and more" })
    support.stub("/missing.dat", { "Content-Type: text/plain", status = 404, body = "no such level" })
    local output = run("download")
    support.contains(output, "Progress phase: began\n")
    support.contains(output, "Saved level.dat\nFirst bytes: LVL1\n")
    support.contains(output, "No file, status 404: no such level\n")
    equal(support.read_file(support.path("level.dat", "temporary")), "LVL1 and more")
    equal(support.read_file(support.path("missing.dat")), nil)
end)

test("sample: network.upload", function()
    support.write_file(support.path("save.dat"), "\0\1\2\255")
    support.stub("/save", { "Content-Type: text/plain", body = "saved" })
    equal(run("upload"), "Uploading 4 bytes\nUploaded 4 bytes, status 200\nAnswer: saved\n")
    local request = support.last("/save")
    equal(request.line, "PUT /save HTTP/1.1")
    equal(request.headers["content-type"], "application/x-save")
    equal(request.headers["x-player"], "42")
    equal(request.body, "\0\1\2\255")
end)

test("sample: cancel inside a listener", function()
    support.stub("/endless", "/stall?sent=100")
    equal(run("cancel"), "Heard: began\nCancelled: true\nCancelled again: false\n")
end)

test("sample: a table that listens", function()
    for page, text in pairs({ one = "1", two = "2", three = "3" }) do
        support.stub("/page/" .. page, { "Content-Type: text/plain", body = "page " .. text })
    end
    equal(run("table_listener"), "Loaded: page 1, page 2, page 3\n")
end)

-- The binding's own ----------------------------------------

test("example: a frame loop with bars", function()
    local gate = support.unique("gate")
    support.fetch_fine(support.url("/open/" .. gate))
    local output, status = support.run_lua(support.here .. "../example/frame_loop.lua", support.url("/bytes/100000"),
        support.url("/held/" .. gate .. "?bytes=5000"))
    support.contains(output, "/bytes/100000: 200, 100000 bytes\n")
    support.contains(output, "?bytes=5000: 200, 5000 bytes\n")
    equal(status, 0)
    output, status = support.run_lua(support.here .. "../example/frame_loop.lua", support.url("/status/404"))
    support.contains(output, "/status/404: status 404\n")
    equal(status, 1)
end)

test("annotations name every function and constant", function()
    local named = {}
    for line in io.lines(support.here .. "../types/network.lua") do
        local name = line:match("^function network%.([%w_]+)%(") or line:match("^network%.([%w_]+) =")
            or line:match("^---@field ([%w_]+)")
        if name then
            named[name] = true
        end
    end
    assert(loadfile(support.here .. "../types/network.lua"))
    for name in pairs(network) do
        assert(named[name], "types/network.lua does not name " .. name)
    end
end)
