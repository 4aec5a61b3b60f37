-- Downloads files in a frame loop, and draws a bar for each.
--
--   lua frame_loop.lua URL...
--
-- The files go to the temporary directory, and are removed at the end.

local network = require "network"

local FRAME = 1 / 30
local BAR = 30

local urls = { ... }
if #urls == 0 then
    io.stderr:write("usage: lua frame_loop.lua URL...\n")
    os.exit(2)
end

-- One job for each URL. Listeners run in network.poll() only, so they need no locks.
local jobs, running, failed = {}, 0, 0

local function listener(job)
    return function(event)
        job.bytes, job.total = event.bytesTransferred, event.bytesEstimated
        if event.phase == "ended" then
            running = running - 1
            if event.isError then
                job.outcome = event.response
            elseif type(event.response) == "table" then
                job.outcome = "200, " .. event.bytesTransferred .. " bytes"
                os.remove(event.response.fullPath)
            else
                job.outcome = "status " .. event.status
            end
            failed = failed + (type(event.response) == "table" and 0 or 1)
        end
    end
end

for i, url in ipairs(urls) do
    local job = { url = url, bytes = 0, total = -1 }
    jobs[i] = job
    running = running + 1
    network.download(url, "GET", listener(job), { progress = true }, "frame_loop_" .. i, network.TemporaryDirectory)
end

local function draw(job)
    local full = job.total > 0 and math.floor(BAR * job.bytes / job.total) or 0
    return "[" .. ("#"):rep(full) .. ("."):rep(BAR - full) .. "] " .. job.bytes .. " bytes"
end

local frame = 0
while running > 0 do
    -- At most two milliseconds of this frame; what is left waits for the next.
    network.poll(2)
    if frame % 15 == 0 then
        for _, job in ipairs(jobs) do
            if not job.outcome then
                print(draw(job) .. "  " .. job.url)
            end
        end
    end
    frame = frame + 1
    -- A game updates, draws and waits for the screen here.
    network.wait(FRAME)
end

for _, job in ipairs(jobs) do
    print(job.url .. ": " .. job.outcome)
end
os.exit(failed == 0 and 0 or 1)
