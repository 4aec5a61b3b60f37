// A gallery of remote pictures, each with a progress bar until it is there, while a sprite spins: no frame waits.
//
//   gallery URL...                       pictures in the format of SDL itself, BMP
//   gallery --screenshot FILE URL...     saves the window when half of them are there, and leaves when all have ended
//
// The strip at the bottom shows how much of each frame's 16 ms was spent in Sortie.
#include <sortie.hpp>

#include <SDL.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

template <auto destroy> struct Destroy {
    template <class T> void operator()(T *object) const { destroy(object); }
};
using Window = std::unique_ptr<SDL_Window, Destroy<SDL_DestroyWindow>>;
using Renderer = std::unique_ptr<SDL_Renderer, Destroy<SDL_DestroyRenderer>>;
using Surface = std::unique_ptr<SDL_Surface, Destroy<SDL_FreeSurface>>;
using Texture = std::unique_ptr<SDL_Texture, Destroy<SDL_DestroyTexture>>;

constexpr int columns = 4, tile_width = 208, tile_height = 136, gap = 16, strip_height = 64;

struct Picture {
    Texture texture;
    float progress = 0;
    bool has_begun = false;
    bool has_ended = false;
};

Texture decode(SDL_Renderer *renderer, sortie::Bytes bytes)
{
    SDL_RWops *stream = SDL_RWFromConstMem(bytes.data(), static_cast<int>(bytes.size()));
    const Surface surface(stream ? SDL_LoadBMP_RW(stream, 1) : nullptr);
    return Texture(surface ? SDL_CreateTextureFromSurface(renderer, surface.get()) : nullptr);
}

/// Asks for a picture. The callback runs inside client.poll(), on this thread, so it may make a texture.
sortie::Result<sortie::Id> request(sortie::Client &client, const char *url, Picture &picture, SDL_Renderer *renderer)
{
    sortie::Request request(url);
    request.progress(sortie::Progress::download);
    return client.submit(request, [&picture, renderer](const sortie::Event &event) {
        picture.has_begun = true;
        const float moved = static_cast<float>(event.bytes_transferred());
        if (event.bytes_estimated() > 0)
            picture.progress = moved / static_cast<float>(event.bytes_estimated());
        if (!event.ended())
            return;
        picture.has_ended = true;
        if (event.failed())
            SDL_Log("%s", std::string(event.message()).c_str());
        else if (event.status() == 200)
            picture.texture = decode(renderer, event.bytes());
    });
}

void fill(SDL_Renderer *renderer, SDL_Rect where, SDL_Color color)
{
    SDL_SetRenderDrawColor(renderer, color.r, color.g, color.b, color.a);
    SDL_RenderFillRect(renderer, &where);
}

void draw(SDL_Renderer *renderer, const Picture &picture, SDL_Rect where)
{
    fill(renderer, where, {0x28, 0x2e, 0x3a, 0xff});
    if (picture.texture) {
        SDL_RenderCopy(renderer, picture.texture.get(), nullptr, &where);
    } else if (picture.has_ended) {
        SDL_SetRenderDrawColor(renderer, 0xe0, 0x5a, 0x4e, 0xff);
        for (int i = -1; i <= 1; ++i) {
            SDL_RenderDrawLine(renderer, where.x + 84 + i, where.y + 48, where.x + 124 + i, where.y + 88);
            SDL_RenderDrawLine(renderer, where.x + 124 + i, where.y + 48, where.x + 84 + i, where.y + 88);
        }
    } else {
        const SDL_Rect bar{where.x + 24, where.y + where.h / 2 - 5, where.w - 48, 10};
        fill(renderer, bar, {0x3c, 0x45, 0x57, 0xff});
        if (picture.has_begun)
            fill(renderer, {bar.x, bar.y, static_cast<int>(static_cast<float>(bar.w) * picture.progress), bar.h},
                 {0x6f, 0xc3, 0xdf, 0xff});
    }
}

/// A little aeroplane.
Texture make_sprite(SDL_Renderer *renderer)
{
    constexpr std::array<std::string_view, 13> rows{
        "......W......",
        ".....WWW.....",
        ".....WCW.....",
        ".....WCW.....",
        ".....WWW.....",
        "....WWWWW....",
        "..WWWWWWWWW..",
        "WWWWWWWWWWWWW",
        "RRRRWWWWWRRRR",
        ".....WWW.....",
        ".....WWW.....",
        "...RRWWWRR...",
        "...RR.W.RR..."};
    const int size = static_cast<int>(rows.size());
    const Surface surface(SDL_CreateRGBSurfaceWithFormat(0, size, size, 32, SDL_PIXELFORMAT_RGBA32));
    if (!surface)
        return nullptr;
    for (int y = 0; y < size; ++y) {
        for (int x = 0; x < size; ++x) {
            const char pixel = rows[static_cast<std::size_t>(y)][static_cast<std::size_t>(x)];
            const SDL_Rect where{x, y, 1, 1};
            const Uint32 color = pixel == 'W'   ? SDL_MapRGBA(surface->format, 0xe8, 0xec, 0xf2, 0xff)
                                 : pixel == 'C' ? SDL_MapRGBA(surface->format, 0x6f, 0xc3, 0xdf, 0xff)
                                 : pixel == 'R' ? SDL_MapRGBA(surface->format, 0xe0, 0x5a, 0x4e, 0xff)
                                                : 0;
            SDL_FillRect(surface.get(), &where, color);
        }
    }
    return Texture(SDL_CreateTextureFromSurface(renderer, surface.get()));
}

bool save(SDL_Renderer *renderer, const char *file)
{
    int width = 0, height = 0;
    SDL_GetRendererOutputSize(renderer, &width, &height);
    const Surface shot(SDL_CreateRGBSurfaceWithFormat(0, width, height, 24, SDL_PIXELFORMAT_BGR24));
    return shot && SDL_RenderReadPixels(renderer, nullptr, SDL_PIXELFORMAT_BGR24, shot->pixels, shot->pitch) == 0 &&
           SDL_SaveBMP(shot.get(), file) == 0;
}

} // namespace

int main(int argc, char **argv)
{
    const bool takes_screenshot = argc > 2 && std::string_view(argv[1]) == "--screenshot";
    const std::vector<const char *> urls(argv + std::min(argc, takes_screenshot ? 3 : 1), argv + argc);
    if (urls.empty() || SDL_Init(SDL_INIT_VIDEO) != 0) {
        std::fprintf(stderr, "usage: gallery [--screenshot FILE] URL...  %s\n", SDL_GetError());
        return 1;
    }
    const int rows = (static_cast<int>(urls.size()) + columns - 1) / columns;
    const int width = gap + columns * (tile_width + gap), strip_top = gap + rows * (tile_height + gap);
    const Window window(SDL_CreateWindow("Sortie's gallery", SDL_WINDOWPOS_CENTERED, SDL_WINDOWPOS_CENTERED, width,
                                         strip_top + strip_height + gap, 0));
    const Renderer renderer(window ? SDL_CreateRenderer(window.get(), -1, 0) : nullptr);
    // A few at a time, so that it shows how the others wait.
    sortie::Result<sortie::Client> created = sortie::Client::create(sortie::Config().max_active_per_host(5));
    if (!renderer || !created) {
        std::fprintf(stderr, "%s%s\n", SDL_GetError(), created.error().message().c_str());
        return 1;
    }
    const Texture sprite = make_sprite(renderer.get());
    std::vector<Picture> pictures(urls.size());
    // After what its callbacks refer to, and so gone before it.
    sortie::Client client = std::move(*created);
    for (std::size_t i = 0; i < urls.size(); ++i) {
        const sortie::Result<sortie::Id> id = request(client, urls[i], pictures[i], renderer.get());
        if (!id) {
            SDL_Log("%s: %s", urls[i], id.error().message().c_str());
            pictures[i].has_ended = true;
        }
    }

    using Clock = std::chrono::steady_clock;
    std::vector<float> spent(static_cast<std::size_t>(width - 2 * gap) / 3);
    bool is_open = true, is_saved = !takes_screenshot;
    for (std::size_t frame = 0; is_open; ++frame) {
        const Clock::time_point start = Clock::now();
        for (SDL_Event event; SDL_PollEvent(&event);)
            is_open = is_open && event.type != SDL_QUIT;

        const Clock::time_point before = Clock::now();
        client.poll();
        spent[frame % spent.size()] = std::chrono::duration<float, std::milli>(Clock::now() - before).count();

        fill(renderer.get(), {0, 0, width, strip_top + strip_height + gap}, {0x1b, 0x1f, 0x27, 0xff});
        for (std::size_t i = 0; i < pictures.size(); ++i) {
            const int place = static_cast<int>(i);
            draw(renderer.get(), pictures[i],
                 {gap + place % columns * (tile_width + gap), gap + place / columns * (tile_height + gap), tile_width,
                  tile_height});
        }
        fill(renderer.get(), {gap, strip_top, width - 2 * gap, strip_height}, {0x22, 0x27, 0x31, 0xff});
        for (std::size_t i = 0; i < spent.size(); ++i) {
            const int height = 1 + static_cast<int>(std::min(spent[i] / 16.0f, 1.0f) * (strip_height - 1));
            fill(renderer.get(), {gap + static_cast<int>(i) * 3, strip_top + strip_height - height, 2, height},
                 {0x7b, 0xc4, 0x7f, 0xff});
        }
        const SDL_Rect where{width - 3 * gap - 60, strip_top + strip_height / 2 - 30, 60, 60};
        SDL_RenderCopyEx(renderer.get(), sprite.get(), nullptr, &where, static_cast<double>(frame * 3 % 360), nullptr,
                         SDL_FLIP_NONE);

        const auto is_shown = [](const Picture &picture) { return picture.texture != nullptr; };
        const auto has_ended = [](const Picture &picture) { return picture.has_ended; };
        const auto shown = std::count_if(pictures.begin(), pictures.end(), is_shown);
        const bool all_ended = std::all_of(pictures.begin(), pictures.end(), has_ended);
        if (!is_saved && static_cast<std::size_t>(shown) * 2 >= pictures.size()) {
            is_saved = save(renderer.get(), argv[2]);
            is_open = is_open && is_saved;
        }
        SDL_RenderPresent(renderer.get());
        if (takes_screenshot && all_ended) {
            std::printf("%d of %d pictures, %d frames\n", static_cast<int>(shown), static_cast<int>(pictures.size()),
                        static_cast<int>(frame));
            break;
        }
        std::this_thread::sleep_until(start + std::chrono::milliseconds(16));
    }
    // What is drawn with goes before SDL itself does: SDL_Quit() is left to the end of the program.
    return is_saved ? 0 : 1;
}
