-- The adapter for LÖVE, in the real one, without a window.

local support = require "support"
local test, equal = support.test, support.equal

support.configure()

--- Runs a game; gives its output and exit status. Its files go to `data` in this process's folder.
local function play(game, ...)
    local folder = support.folder()
    local words = {
        "XDG_DATA_HOME='" .. folder .. "/data'", "XDG_RUNTIME_DIR='" .. folder .. "'",
        "timeout 60 love", "'" .. game .. "'",
    }
    for _, word in ipairs({ ... }) do
        words[#words + 1] = "'" .. word .. "'"
    end
    local pipe = io.popen(table.concat(words, " ") .. " 2>&1; printf '\\nended with %d\\n' $?")
    local text = pipe:read("*a")
    pipe:close()
    local output, status = text:match("^(.*)\nended with (%d+)\n$")
    return output, tonumber(status)
end

local function data(name)
    return support.folder() .. "/data/love/" .. name
end

local example = support.here .. "../example/love"

test("the example downloads a file while frames go by", function()
    local output, status = play(example, support.url("/slow?bytes=300000&rate=1000000"), "--headless")
    equal(status, 0, output)
    local frames = output:match("^(%d+) frames: 300000 bytes in picture\n$")
    assert(frames, output)
    assert(tonumber(frames) > 20, output)
    equal(support.read_file(data("sortie_example/caches/picture")),
        support.fetch_fine(support.url("/bytes/300000")).response)
end)

test("the example tells what went wrong", function()
    local output, status = play(example, support.url("/status/404"), "--headless")
    support.contains(output, "frames: status 404\n")
    equal(status, 1)
    output, status = play(example, "http://127.0.0.1:1/", "--headless")
    support.contains(output, "127.0.0.1:1")
    equal(status, 1)
end)

test("a game polls by itself, and reads its files", function()
    local output, status = play(support.here .. "love", support.url(""))
    equal(output, "")
    equal(status, 0)
end)

test("a thread of LÖVE's has a client of its own", function()
    local output, status = play(support.here .. "love", support.url(""), "thread")
    equal(output, "")
    equal(status, 0)
end)

test("a listener that throws reaches LÖVE's console, not its error screen", function()
    local output, status = play(support.here .. "love", support.url(""), "throw")
    support.contains(output, "thrown by the test")
    support.contains(output, "stack traceback")
    equal(status, 0)
end)
