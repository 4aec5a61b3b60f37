-- Stops a download inside its listener once it has begun.

local function networkListener( event )

    print( "Heard: " .. event.phase )
    if ( event.phase == "began" ) then
        print( "Cancelled: " .. tostring( network.cancel( event.requestId ) ) )
        print( "Cancelled again: " .. tostring( network.cancel( event.requestId ) ) )
    end
end

network.request( "http://127.0.0.1/endless", "GET", networkListener, { progress = "download" } )
