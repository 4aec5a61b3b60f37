function love.conf(t)
    t.identity = "sortie_example"
    t.window.title = "Sortie in LÖVE"
    for _, word in ipairs(arg) do
        if word == "--headless" then
            t.modules.window = false
            t.modules.graphics = false
            t.modules.image = false
            t.modules.font = false
            t.modules.audio = false
            t.modules.sound = false
            t.modules.joystick = false
        end
    end
end
