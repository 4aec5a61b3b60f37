-- Downloads an image with a progress bar, while a ball keeps moving.
--
--   love example/love URL [--headless]
--
-- With --headless nothing is drawn, the game ends with the download, and says how it went.

-- Before network.configure(), if the game calls that.
local network = require "network.love"

local url, headless
local progress, message, image = 0, "", nil
local ball = { x = 40, y = 120, dx = 160, dy = 110 }
local frames = 0

local function quit(status)
    if headless then
        print(("%d frames: %s"):format(frames, message))
        love.event.quit(status)
    end
end

local function listener(event)
    if event.phase ~= "ended" then
        if event.bytesEstimated > 0 then
            progress = event.bytesTransferred / event.bytesEstimated
        end
        return
    end
    if event.isError then
        message = event.response
        quit(1)
    elseif type(event.response) ~= "table" then
        message = "status " .. event.status
        quit(1)
    else
        progress = 1
        message = ("%d bytes in %s"):format(event.bytesTransferred, event.response.filename)
        if not headless then
            local fine, result = pcall(love.graphics.newImage, "caches/" .. event.response.filename)
            image = fine and result or nil
            message = fine and message or "this is no image"
        end
        quit(0)
    end
end

function love.load(words)
    for _, word in ipairs(words) do
        if word == "--headless" then
            headless = true
        else
            url = word
        end
    end
    if not url then
        print("usage: love example/love URL [--headless]")
        love.event.quit(2)
        return
    end
    network.download(url, "GET", listener, { progress = true }, "picture", network.CachesDirectory)
end

-- Nothing of the network here: network.love polls before each update.
function love.update(dt)
    frames = frames + 1
    for axis, limit in pairs({ x = 800, y = 600 }) do
        local speed = "d" .. axis
        ball[axis] = ball[axis] + ball[speed] * dt
        if ball[axis] < 20 or ball[axis] > limit - 20 then
            ball[speed] = -ball[speed]
            ball[axis] = math.max(20, math.min(limit - 20, ball[axis]))
        end
    end
end

function love.draw()
    if image then
        local scale = math.min(760 / image:getWidth(), 480 / image:getHeight(), 1)
        love.graphics.draw(image, 20, 100, 0, scale, scale)
    end
    love.graphics.circle("fill", ball.x, ball.y, 20)
    love.graphics.rectangle("line", 20, 20, 760, 24)
    love.graphics.rectangle("fill", 20, 20, 760 * progress, 24)
    love.graphics.print(message, 20, 60)
end
