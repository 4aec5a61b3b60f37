-- Downloads a file by network.download(), and shows it once it is whole.

local function networkListener( event )

    if ( event.isError ) then
        print( "Network error - download failed: ", event.response )
    elseif ( event.phase == "began" ) then
        print( "Progress phase: began" )
    elseif ( event.phase == "ended" ) then
        if ( type( event.response ) == "table" ) then
            print( "Saved " .. event.response.filename )
            local file = io.open( system.pathForFile( event.response.filename, event.response.baseDirectory ), "rb" )
            print( "First bytes: " .. file:read( 4 ) )
            file:close()
        else
            print( "No file, status " .. event.status .. ": " .. event.response )
        end
    end
end

local params = { progress = true }

network.download( "http://127.0.0.1/level.dat", "GET", networkListener, params, "level.dat", system.TemporaryDirectory )
network.download( "http://127.0.0.1/missing.dat", "GET", networkListener, "missing.dat" )
