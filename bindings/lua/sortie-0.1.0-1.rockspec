-- HTTP for game loops, with Solar2D's network library. Needs Sortie's shared library and header:
--
--   luarocks make sortie-0.1.0-1.rockspec SORTIE_DIR=/where/sortie/is
rockspec_format = "3.0"
package = "sortie"
version = "0.1.0-1"
source = {
   url = "."
}
description = {
   summary = "HTTP for game loops",
   detailed = "Asynchronous HTTP that is polled once a frame: Solar2D's network library for every Lua host.",
   license = "MIT OR Apache-2.0"
}
dependencies = {
   "lua >= 5.1, < 5.5"
}
external_dependencies = {
   SORTIE = {
      header = "sortie.h",
      library = "sortie"
   }
}
build = {
   type = "builtin",
   modules = {
      network = {
         sources = { "network.c" },
         libraries = { "sortie", "m" },
         incdirs = { "$(SORTIE_INCDIR)" },
         libdirs = { "$(SORTIE_LIBDIR)" }
      },
      ["network.love"] = "network/love.lua",
      ["network.solar2d"] = "network/solar2d.lua"
   }
}
