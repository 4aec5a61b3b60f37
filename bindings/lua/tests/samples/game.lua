-- Runs a sample as a game would: frames until all its requests have ended.
--
--   lua game.lua SAMPLE DOCUMENTS TEMPORARY HTTP_PORT HTTPS_PORT CA_FILE

local sample, documents, temporary, http_port, https_port, ca_file = (table.unpack or unpack)(arg)

-- Whoever reads along sees each line at once.
io.stdout:setvbuf("line")

local function stand_in(host, port, address_port)
    return { host = host, port = port, address = "127.0.0.1", addressPort = tonumber(address_port) }
end

local network = require "network"
network.configure({
    caFile = ca_file,
    proxy = "",
    documentsDirectory = documents,
    temporaryDirectory = temporary,
    resolves = {
        stand_in("encrypted.google.com", 443, https_port),
        stand_in("docs.coronalabs.com", 443, https_port),
        stand_in("127.0.0.1", 80, http_port),
    },
})
require "network.solar2d"

dofile(sample)

local limit = os.time() + 60

local function frame()
    network.wait(0.05)
    Runtime:dispatchEvent({ name = "enterFrame" })
    assert(os.time() < limit, "the sample takes too long")
end

-- What ends after the sample's requests is heard of after them.
local submitted
repeat
    repeat
        frame()
        local stats = network.stats()
    until stats.ended == stats.submitted
    submitted = network.stats().submitted
    local last
    network.request("http://127.0.0.1:1/", "GET", function()
        last = true
    end)
    while not last do
        frame()
    end
until network.stats().submitted == submitted + 1
