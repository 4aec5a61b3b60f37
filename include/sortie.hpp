// Sortie: HTTP for game loops, from C++17 on. Header only, over sortie.h, whose comments are the contract.
//
//   sortie::Client client = sortie::Client::create().value();
//   auto id = client.get("https://example.com/scores.json", [](const sortie::Event &event) { ... });
//   client.poll();    // once a frame: callbacks run in here, on this thread
//
// Needs neither exceptions nor RTTI: what can be refused returns a Result.
//
// Threads: as sortie.h says. submit(), get(), cancel() and the like may be called from any thread, with callbacks too.
// poll(), an Event, and giving up a Handle, a Fetch or a watch that has a callback are for the thread that polls.
//
// SPDX-License-Identifier: MIT OR Apache-2.0

#ifndef SORTIE_HPP
#define SORTIE_HPP

#include <sortie.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#if defined(__has_include)
#if __has_include(<version>)
#include <version>
#endif
#endif
#if defined(__cpp_impl_coroutine) && defined(__cpp_lib_coroutine)
#include <coroutine>
#define SORTIE_HPP_COROUTINES 1
#endif
#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#define SORTIE_HPP_EXCEPTIONS 1
#endif

namespace sortie {

// ---- Numbers --------------------------------------------------------------------------------------------------------
// Those of sortie.h, as types. A later library may give numbers that are not named here.

/// Why a call was refused.
enum class Code : std::int32_t {
    ok = SORTIE_OK,
    null_argument = SORTIE_RESULT_NULL_ARGUMENT,
    struct_size = SORTIE_RESULT_STRUCT_SIZE,
    utf8 = SORTIE_RESULT_UTF8,
    url = SORTIE_RESULT_URL,
    scheme = SORTIE_RESULT_SCHEME,
    method = SORTIE_RESULT_METHOD,
    header = SORTIE_RESULT_HEADER,
    path = SORTIE_RESULT_PATH,
    argument = SORTIE_RESULT_ARGUMENT,
    body_too_large = SORTIE_RESULT_BODY_TOO_LARGE,
    busy = SORTIE_RESULT_BUSY,
    stale = SORTIE_RESULT_STALE,
    too_many_requests = SORTIE_RESULT_TOO_MANY_REQUESTS,
    system = SORTIE_RESULT_SYSTEM,
    not_found = SORTIE_RESULT_NOT_FOUND,
    shutdown = SORTIE_RESULT_SHUTDOWN,
    internal = SORTIE_RESULT_INTERNAL
};

/// Why a request has no whole response.
enum class ErrorKind : std::uint32_t {
    none = SORTIE_ERROR_NONE,
    resolve = SORTIE_ERROR_RESOLVE,
    connect = SORTIE_ERROR_CONNECT,
    tls = SORTIE_ERROR_TLS,
    certificate = SORTIE_ERROR_CERTIFICATE,
    timeout = SORTIE_ERROR_TIMEOUT,
    connect_timeout = SORTIE_ERROR_CONNECT_TIMEOUT,
    stalled = SORTIE_ERROR_STALLED,
    send = SORTIE_ERROR_SEND,
    receive = SORTIE_ERROR_RECEIVE,
    protocol = SORTIE_ERROR_PROTOCOL,
    redirects = SORTIE_ERROR_REDIRECTS,
    body_too_large = SORTIE_ERROR_BODY_TOO_LARGE,
    decode = SORTIE_ERROR_DECODE,
    file = SORTIE_ERROR_FILE,
    disk_full = SORTIE_ERROR_DISK_FULL,
    integrity = SORTIE_ERROR_INTEGRITY,
    proxy = SORTIE_ERROR_PROXY,
    cancelled = SORTIE_ERROR_CANCELLED,
    invalid_url = SORTIE_ERROR_INVALID_URL,
    unsupported = SORTIE_ERROR_UNSUPPORTED,
    shutdown = SORTIE_ERROR_SHUTDOWN,
    internal = SORTIE_ERROR_INTERNAL,
    queue_timeout = SORTIE_ERROR_QUEUE_TIMEOUT,
    encode = SORTIE_ERROR_ENCODE,
    not_cached = SORTIE_ERROR_NOT_CACHED
};

enum class EventType : std::uint32_t {
    began = SORTIE_EVENT_BEGAN,
    progress = SORTIE_EVENT_PROGRESS,
    data = SORTIE_EVENT_DATA,
    ended = SORTIE_EVENT_ENDED,
    reachability = SORTIE_EVENT_REACHABILITY,
    writable = SORTIE_EVENT_WRITABLE,
    retry = SORTIE_EVENT_RETRY,
    trace = SORTIE_EVENT_TRACE
};

enum class BodyKind : std::uint32_t {
    default_ = SORTIE_BODY_DEFAULT,
    text = SORTIE_BODY_TEXT,
    binary = SORTIE_BODY_BINARY
};

enum class Progress : std::uint32_t {
    none = SORTIE_PROGRESS_NONE,
    download = SORTIE_PROGRESS_DOWNLOAD,
    upload = SORTIE_PROGRESS_UPLOAD
};

enum class Priority : std::uint32_t {
    normal = SORTIE_PRIORITY_NORMAL,
    high = SORTIE_PRIORITY_HIGH,
    low = SORTIE_PRIORITY_LOW
};

/// The base of a file's name.
enum class Directory : std::uint32_t {
    none = SORTIE_DIRECTORY_NONE,
    documents = SORTIE_DIRECTORY_DOCUMENTS,
    temporary = SORTIE_DIRECTORY_TEMPORARY,
    caches = SORTIE_DIRECTORY_CACHES,
    application_support = SORTIE_DIRECTORY_APPLICATION_SUPPORT,
    resource = SORTIE_DIRECTORY_RESOURCE
};

enum class HttpVersion : std::uint32_t {
    default_ = SORTIE_HTTP_DEFAULT,
    http_1_1 = SORTIE_HTTP_1_1,
    http_2_prior_knowledge = SORTIE_HTTP_2_PRIOR_KNOWLEDGE
};

/// What a response came in.
enum class Protocol : std::uint32_t {
    none = SORTIE_PROTOCOL_NONE,
    http_1_0 = SORTIE_PROTOCOL_HTTP_1_0,
    http_1_1 = SORTIE_PROTOCOL_HTTP_1_1,
    http_2 = SORTIE_PROTOCOL_HTTP_2
};

enum class TlsVersion : std::uint32_t {
    default_ = SORTIE_TLS_DEFAULT,
    tls_1_2 = SORTIE_TLS_1_2,
    tls_1_3 = SORTIE_TLS_1_3
};

enum class CacheMode : std::uint32_t {
    default_ = SORTIE_CACHE_DEFAULT,
    no_store = SORTIE_CACHE_NO_STORE,
    reload = SORTIE_CACHE_RELOAD,
    revalidate = SORTIE_CACHE_REVALIDATE,
    only_if_cached = SORTIE_CACHE_ONLY_IF_CACHED,
    force = SORTIE_CACHE_FORCE
};

/// How much the trace tells.
enum class TraceLevel : std::uint32_t {
    off = SORTIE_TRACE_OFF,
    errors = SORTIE_TRACE_ERRORS,
    requests = SORTIE_TRACE_REQUESTS,
    details = SORTIE_TRACE_DETAILS
};

/// Where it was found what a text is written in.
enum class CharsetSource : std::uint32_t {
    none = 0,
    header = SORTIE_CHARSET_HEADER,
    byte_order_mark = SORTIE_CHARSET_BYTE_ORDER_MARK,
    xml_declaration = SORTIE_CHARSET_XML_DECLARATION,
    meta_charset = SORTIE_CHARSET_META_CHARSET,
    meta_http_equiv = SORTIE_CHARSET_META_HTTP_EQUIV,
    assumed = SORTIE_CHARSET_ASSUMED
};

enum class RequestFlags : std::uint32_t {
    none = 0,
    manual_redirects = SORTIE_REQUEST_MANUAL_REDIRECTS,
    insecure_redirects = SORTIE_REQUEST_INSECURE_REDIRECTS,
    borrow_body = SORTIE_REQUEST_BORROW_BODY,
    no_sync = SORTIE_REQUEST_NO_SYNC,
    raw_text = SORTIE_REQUEST_RAW_TEXT,
    no_cookies = SORTIE_REQUEST_NO_COOKIES,
    gzip_body = SORTIE_REQUEST_GZIP_BODY,
    stream_response = SORTIE_REQUEST_STREAM_RESPONSE,
    stream_body = SORTIE_REQUEST_STREAM_BODY,
    resume = SORTIE_REQUEST_RESUME,
    retry_any_method = SORTIE_REQUEST_RETRY_ANY_METHOD,
    retry_events = SORTIE_REQUEST_RETRY_EVENTS
};

enum class ClientFlags : std::uint32_t {
    none = 0,
    no_cookies = SORTIE_CLIENT_NO_COOKIES,
    mocks_only = SORTIE_CLIENT_MOCKS_ONLY,
    trace_secrets = SORTIE_CLIENT_TRACE_SECRETS,
    trace_bodies = SORTIE_CLIENT_TRACE_BODIES
};

enum class EventFlags : std::uint32_t {
    none = 0,
    from_cache = SORTIE_EVENT_FROM_CACHE,
    revalidated = SORTIE_EVENT_REVALIDATED,
    credentials_unused = SORTIE_EVENT_CREDENTIALS_UNUSED
};

enum class Network : std::uint32_t {
    none = 0,
    reachable = SORTIE_NETWORK_REACHABLE,
    connection_required = SORTIE_NETWORK_CONNECTION_REQUIRED,
    connection_on_demand = SORTIE_NETWORK_CONNECTION_ON_DEMAND,
    interaction_required = SORTIE_NETWORK_INTERACTION_REQUIRED,
    cellular = SORTIE_NETWORK_CELLULAR,
    wifi = SORTIE_NETWORK_WIFI
};

namespace detail {
template <class E>
inline constexpr bool is_flags = std::is_same_v<E, RequestFlags> || std::is_same_v<E, ClientFlags> ||
                                 std::is_same_v<E, EventFlags> || std::is_same_v<E, Network>;
} // namespace detail

template <class E, std::enable_if_t<detail::is_flags<E>, int> = 0>
constexpr E operator|(E a, E b) noexcept
{
    return static_cast<E>(static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b));
}

template <class E, std::enable_if_t<detail::is_flags<E>, int> = 0>
constexpr E operator&(E a, E b) noexcept
{
    return static_cast<E>(static_cast<std::uint32_t>(a) & static_cast<std::uint32_t>(b));
}

/// Whether one of these flags is among those.
template <class E, std::enable_if_t<detail::is_flags<E>, int> = 0>
constexpr bool has(E flags, E wanted) noexcept
{
    return (flags & wanted) != E::none;
}

/// For every timeout: no such limit.
inline constexpr std::chrono::milliseconds no_timeout{static_cast<std::int64_t>(SORTIE_NO_TIMEOUT)};

/// What this header belongs to; version() and abi_version() are those of the loaded library.
inline constexpr std::string_view header_version = SORTIE_VERSION;
inline constexpr std::uint32_t header_abi_version = SORTIE_ABI_VERSION;

inline std::string_view version() noexcept { return sortie_version(); }
inline std::uint32_t abi_version() noexcept { return sortie_abi_version(); }

/// In English, for every number.
inline std::string_view describe(Code code) noexcept { return sortie_result_string(static_cast<sortie_result>(code)); }
inline std::string_view describe(ErrorKind kind) noexcept
{
    return sortie_error_string(static_cast<std::uint32_t>(kind));
}

// ---- Results --------------------------------------------------------------------------------------------------------

/// A refused call: it did nothing. The message names the thing and the limit.
class Error {
public:
    Error() = default;
    Error(Code code, std::string message) : code_(code), message_(std::move(message)) {}

    Code code() const noexcept { return code_; }
    const std::string &message() const noexcept { return message_; }

    /// What the library says of this thread's last call, which it has refused.
    static Error of(sortie_result result) { return Error(static_cast<Code>(result), sortie_last_error_message()); }

private:
    Code code_ = Code::ok;
    std::string message_;
};

#ifdef SORTIE_HPP_EXCEPTIONS
/// What value() throws of a refused call. Nothing else here throws, but for what your own code and memory that is used
/// up do.
class Refused : public std::exception {
public:
    explicit Refused(Error error) : error_(std::make_shared<Error>(std::move(error))) {}
    const char *what() const noexcept override { return error_->message().c_str(); }
    const Error &error() const noexcept { return *error_; }

private:
    // Shared, so that copying it cannot throw.
    std::shared_ptr<Error> error_;
};
#endif

namespace detail {
[[noreturn]] inline void refuse_value(const Error &error)
{
#ifdef SORTIE_HPP_EXCEPTIONS
    throw Refused(error);
#else
    std::fprintf(stderr, "sortie: value() of a refused call: %s\n", error.message().c_str());
    std::abort();
#endif
}
} // namespace detail

/// What a call gives, or why it was refused.
template <class T> class Result {
public:
    Result(T value) : value_(std::move(value)) {}
    Result(Error error) : error_(std::move(error)) {}

    explicit operator bool() const noexcept { return error_.code() == Code::ok; }
    /// Code::ok if there is a value.
    const Error &error() const noexcept { return error_; }

    /// The value. Of a refused call: throws Refused; where exceptions are off, ends the program with the message.
    T &value() &
    {
        check();
        return value_;
    }
    const T &value() const &
    {
        check();
        return value_;
    }
    T value() &&
    {
        check();
        return std::move(value_);
    }

    /// The value, for whoever has looked. That of a refused call is an empty one.
    T &operator*() & noexcept { return value_; }
    const T &operator*() const & noexcept { return value_; }
    T &&operator*() && noexcept { return std::move(value_); }
    T *operator->() noexcept { return &value_; }
    const T *operator->() const noexcept { return &value_; }

private:
    void check() const
    {
        if (error_.code() != Code::ok)
            detail::refuse_value(error_);
    }

    T value_{};
    Error error_;
};

template <> class Result<void> {
public:
    Result() = default;
    Result(Error error) : error_(std::move(error)) {}

    explicit operator bool() const noexcept { return error_.code() == Code::ok; }
    const Error &error() const noexcept { return error_; }
    void value() const
    {
        if (error_.code() != Code::ok)
            detail::refuse_value(error_);
    }

private:
    Error error_;
};

namespace detail {
inline Result<void> checked(sortie_result result)
{
    return result == SORTIE_OK ? Result<void>() : Result<void>(Error::of(result));
}

inline std::string_view view(const char *text) noexcept { return text ? std::string_view(text) : std::string_view(); }
} // namespace detail

// ---- Text and bytes going in ----------------------------------------------------------------------------------------

/// Text as an argument: a string_view, a string, a literal. A null `const char *` means none, as in C. UTF-8, and no
/// NUL inside: what has one is refused.
class Text {
public:
    Text(const char *text) noexcept
        : data_(text), size_(text ? std::strlen(text) : 0), is_terminated_(true), ends_at_nul_(true)
    {
    }
    Text(const std::string &text) noexcept : data_(text.c_str()), size_(text.size()), is_terminated_(true) {}
    template <class T, std::enable_if_t<std::is_convertible_v<const T &, std::string_view> &&
                                            !std::is_pointer_v<std::decay_t<T>> && !std::is_null_pointer_v<T> &&
                                            !std::is_same_v<T, std::string>,
                                        int> = 0>
    Text(const T &text) noexcept
    {
        const std::string_view view = text;
        data_ = view.data() ? view.data() : "";
        size_ = view.size();
        is_terminated_ = view.data() == nullptr;
    }

    const char *data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    /// Whether a NUL follows.
    bool is_terminated() const noexcept { return is_terminated_; }
    /// The place of the first NUL in it; size() if there is none.
    std::size_t nul() const noexcept
    {
        const void *found = ends_at_nul_ || size_ == 0 ? nullptr : std::memchr(data_, 0, size_);
        return found ? static_cast<std::size_t>(static_cast<const char *>(found) - data_) : size_;
    }

private:
    const char *data_ = nullptr;
    std::size_t size_ = 0;
    bool is_terminated_ = false;
    bool ends_at_nul_ = false;
};

/// Bytes somewhere; not owned.
class Bytes {
public:
    constexpr Bytes() noexcept = default;
    Bytes(const void *data, std::size_t size) noexcept : data_(static_cast<const std::byte *>(data)), size_(size) {}

    constexpr const std::byte *data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr bool empty() const noexcept { return size_ == 0; }
    constexpr const std::byte *begin() const noexcept { return data_; }
    constexpr const std::byte *end() const noexcept { return data_ + size_; }
    constexpr std::byte operator[](std::size_t i) const noexcept { return data_[i]; }

private:
    const std::byte *data_ = nullptr;
    std::size_t size_ = 0;
};

namespace detail {

inline Error nul_inside(const char *what, std::size_t at)
{
    return Error(Code::argument, std::string(what) + " has a NUL byte at " + std::to_string(at) +
                                     ": no text that goes to the library may hold one");
}

/// A Text as C wants it, for the length of a call. Copied only if it is not terminated, and to the heap only if it is
/// long.
class Terminated {
public:
    Terminated(const Text &text, const char *what) : what_(what), nul_(text.nul()), size_(text.size())
    {
        if (text.is_terminated()) {
            pointer_ = text.data();
            return;
        }
        char *copy = buffer_;
        if (size_ >= sizeof buffer_) {
            heap_.reset(new char[size_ + 1]);
            copy = heap_.get();
        }
        if (size_ > 0)
            std::memcpy(copy, text.data(), size_);
        copy[size_] = '\0';
        pointer_ = copy;
    }
    Terminated(const Terminated &) = delete;
    Terminated &operator=(const Terminated &) = delete;

    bool is_bad() const noexcept { return nul_ != size_; }
    Error error() const { return nul_inside(what_, nul_); }
    const char *get() const noexcept { return pointer_; }

private:
    const char *what_;
    std::size_t nul_;
    std::size_t size_;
    const char *pointer_ = nullptr;
    std::unique_ptr<char[]> heap_;
    char buffer_[256];
};

/// Memory for what a description points to. What is in it stays where it is when the arena is moved.
class Arena {
public:
    Arena() = default;
    Arena(Arena &&other) noexcept
        : blocks_(std::exchange(other.blocks_, nullptr)), used_(other.used_), size_(std::exchange(other.size_, 0))
    {
        other.used_ = 0;
    }
    Arena &operator=(Arena &&other) noexcept
    {
        std::swap(blocks_, other.blocks_);
        std::swap(used_, other.used_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~Arena()
    {
        while (blocks_)
            ::operator delete(std::exchange(blocks_, blocks_->before));
    }

    template <class T> T *make(std::size_t count)
    {
        static_assert(std::is_trivially_destructible_v<T> && alignof(T) <= alignof(Block), "only bytes are freed");
        return static_cast<T *>(take(count * sizeof(T), alignof(T)));
    }

    const char *copy(const char *text, std::size_t size)
    {
        char *to = make<char>(size + 1);
        if (size > 0)
            std::memcpy(to, text, size);
        to[size] = '\0';
        return to;
    }

    /// Room for one more at the end of an array, which moves when it is full.
    template <class T> T &append(const T *&array, std::uint32_t &count)
    {
        static_assert(std::is_trivially_copyable_v<T>, "arrays are moved as bytes");
        const bool is_full = count == 0 || (count >= 4 && (count & (count - 1)) == 0);
        if (is_full) {
            T *larger = make<T>(count == 0 ? 4 : std::size_t(count) * 2);
            if (count > 0)
                std::memcpy(static_cast<void *>(larger), array, count * sizeof(T));
            array = larger;
        }
        T &place = const_cast<T &>(array[count]);
        place = T{};
        ++count;
        return place;
    }

private:
    struct alignas(std::max_align_t) Block {
        Block *before;
    };

    void *take(std::size_t size, std::size_t alignment)
    {
        std::size_t start = (used_ + alignment - 1) / alignment * alignment;
        if (!blocks_ || start > size_ || size > size_ - start) {
            const std::size_t room = size > smallest ? size : smallest;
            void *memory = ::operator new(sizeof(Block) + room);
            blocks_ = new (memory) Block{blocks_};
            size_ = room;
            start = 0;
        }
        used_ = start + size;
        return reinterpret_cast<unsigned char *>(blocks_ + 1) + start;
    }

    static constexpr std::size_t smallest = 496;
    Block *blocks_ = nullptr;
    std::size_t used_ = 0;
    std::size_t size_ = 0;
};

/// A struct that begins with its size. One that was moved from says nothing, lest it point to what is no longer its
/// own.
template <class T> struct Sized : T {
    Sized() noexcept : T() { this->struct_size = sizeof(T); }
    Sized(Sized &&other) noexcept : T(other) { static_cast<T &>(other) = Sized(); }
    Sized &operator=(Sized &&other) noexcept
    {
        static_cast<T &>(*this) = other;
        if (this != &other)
            static_cast<T &>(other) = Sized();
        return *this;
    }
};

/// What Config, Request and Mock share: texts are copied in; what is wrong is kept for the call that hands it over.
class Description {
public:
    /// What is wrong with it, as far as this header can tell: Code::ok if nothing is.
    const Error &error() const noexcept { return error_; }

protected:
    const char *keep(const Text &text, const char *what)
    {
        if (!text.data())
            return nullptr;
        const std::size_t nul = text.nul();
        if (nul != text.size()) {
            refuse(nul_inside(what, nul));
            return "";
        }
        return arena_.copy(text.data(), text.size());
    }

    void set(std::uint32_t &field, std::chrono::milliseconds time, const char *what)
    {
        if (time.count() < 0 || time > no_timeout)
            return refuse(Error(Code::argument, std::string(what) + " is " + std::to_string(time.count()) +
                                                    " ms: it can be from 0 to 4294967295 ms"));
        field = static_cast<std::uint32_t>(time.count());
    }

    void add_header(const sortie_header *&headers, std::uint32_t &count, const Text &name, const Text &value)
    {
        sortie_header header;
        header.name = keep(name, "a header's name");
        header.value = keep(value, "a header's value");
        arena_.append(headers, count) = header;
    }

    void refuse(Error error)
    {
        if (error_.code() == Code::ok)
            error_ = std::move(error);
    }

    Arena arena_;
    Error error_;
};

} // namespace detail

// ---- Setting up a client --------------------------------------------------------------------------------------------

/// How a client is set up: sortie_client_config. What is not set is the default, and so is zero.
class Config : public detail::Description {
public:
    /// Adds flags.
    Config &flags(ClientFlags flags)
    {
        config_.flags |= static_cast<std::uint32_t>(flags);
        return *this;
    }
    Config &user_agent(const Text &text) { return text_of(config_.user_agent, text, "user_agent"); }
    /// What a base directory stands for.
    Config &directory(Directory which, const Text &path)
    {
        switch (which) {
        case Directory::documents: return text_of(config_.documents_directory, path, "documents_directory");
        case Directory::temporary: return text_of(config_.temporary_directory, path, "temporary_directory");
        case Directory::caches: return text_of(config_.caches_directory, path, "caches_directory");
        case Directory::application_support:
            return text_of(config_.application_support_directory, path, "application_support_directory");
        case Directory::resource: return text_of(config_.resource_directory, path, "resource_directory");
        case Directory::none: break;
        }
        refuse(Error(Code::argument, "directory " + std::to_string(static_cast<std::uint32_t>(which)) +
                                         " cannot be given a path"));
        return *this;
    }
    Config &max_active(std::uint32_t count) { return number(config_.max_active, count); }
    Config &max_active_per_host(std::uint32_t count) { return number(config_.max_active_per_host, count); }
    Config &max_requests(std::uint32_t count) { return number(config_.max_requests, count); }
    Config &timeout(std::chrono::milliseconds time) { return time_of(config_.timeout_ms, time, "timeout"); }
    Config &connect_timeout(std::chrono::milliseconds time)
    {
        return time_of(config_.connect_timeout_ms, time, "connect_timeout");
    }
    Config &stall_timeout(std::chrono::milliseconds time)
    {
        return time_of(config_.stall_timeout_ms, time, "stall_timeout");
    }
    Config &queue_timeout(std::chrono::milliseconds time)
    {
        return time_of(config_.queue_timeout_ms, time, "queue_timeout");
    }
    Config &min_tls_version(TlsVersion version)
    {
        return number(config_.min_tls_version, static_cast<std::uint32_t>(version));
    }
    Config &max_body_bytes(std::uint64_t bytes) { return number(config_.max_body_bytes, bytes); }
    Config &max_buffered_bytes(std::uint64_t bytes) { return number(config_.max_buffered_bytes, bytes); }
    /// Adds a header for every request that does not give it itself.
    Config &default_header(const Text &name, const Text &value)
    {
        add_header(config_.default_headers, config_.default_header_count, name, value);
        return *this;
    }
    /// Adds the keys that a host must show.
    Config &pin(const Text &host, const Text &public_keys)
    {
        sortie_pin pin{};
        pin.host = keep(host, "a pin's host");
        pin.public_keys = keep(public_keys, "a pin's public_keys");
        arena_.append(config_.pins, config_.pin_count) = pin;
        return *this;
    }
    Config &ca_file(const Text &path) { return text_of(config_.ca_file, path, "ca_file"); }
    /// Adds a certificate by which to identify the client to a host.
    Config &client_certificate(const Text &host, const Text &certificate_file, const Text &key_file = nullptr,
                               const Text &key_password = nullptr)
    {
        sortie_client_certificate certificate{};
        certificate.host = keep(host, "a client certificate's host");
        certificate.certificate_file = keep(certificate_file, "certificate_file");
        certificate.key_file = keep(key_file, "key_file");
        certificate.key_password = keep(key_password, "key_password");
        arena_.append(config_.client_certificates, config_.client_certificate_count) = certificate;
        return *this;
    }
    /// Adds an address in place of a name lookup; port 0 means every port, address_port 0 the same port.
    Config &resolve(const Text &host, std::uint32_t port, const Text &address, std::uint32_t address_port = 0)
    {
        sortie_resolve resolve{};
        resolve.host = keep(host, "a resolve's host");
        resolve.port = port;
        resolve.address = keep(address, "a resolve's address");
        resolve.address_port = address_port;
        arena_.append(config_.resolves, config_.resolve_count) = resolve;
        return *this;
    }
    Config &proxy(const Text &url) { return text_of(config_.proxy, url, "proxy"); }
    Config &no_proxy(const Text &hosts) { return text_of(config_.no_proxy, hosts, "no_proxy"); }
    Config &cookie_file(const Text &path) { return text_of(config_.cookie_file, path, "cookie_file"); }
    Config &reachability_interval(std::chrono::milliseconds time)
    {
        return time_of(config_.reachability_interval_ms, time, "reachability_interval");
    }
    Config &max_decompression_ratio(std::uint32_t ratio) { return number(config_.max_decompression_ratio, ratio); }
    Config &max_file_bytes(std::uint64_t bytes) { return number(config_.max_file_bytes, bytes); }
    Config &cache_directory(const Text &path) { return text_of(config_.cache_directory, path, "cache_directory"); }
    Config &max_cache_bytes(std::uint64_t bytes) { return number(config_.max_cache_bytes, bytes); }
    Config &max_memory_cache_bytes(std::uint64_t bytes) { return number(config_.max_memory_cache_bytes, bytes); }
    Config &max_receive_bytes_per_second(std::uint64_t rate)
    {
        return number(config_.max_receive_bytes_per_second, rate);
    }
    Config &max_send_bytes_per_second(std::uint64_t rate) { return number(config_.max_send_bytes_per_second, rate); }
    Config &keep_alive_interval(std::chrono::milliseconds time)
    {
        return time_of(config_.keep_alive_interval_ms, time, "keep_alive_interval");
    }
    Config &max_connection_idle(std::chrono::milliseconds time)
    {
        return time_of(config_.max_connection_idle_ms, time, "max_connection_idle");
    }
    /// A lowest speed of bodies, on average over each period.
    Config &min_bytes_per_second(std::uint64_t rate) { return number(config_.min_bytes_per_second, rate); }
    Config &min_speed_period(std::chrono::milliseconds time)
    {
        return time_of(config_.min_speed_period_ms, time, "min_speed_period");
    }
    Config &trace_level(TraceLevel level) { return number(config_.trace_level, static_cast<std::uint32_t>(level)); }

    /// As C has it, valid as long as this is.
    const sortie_client_config &native() const noexcept { return config_; }

private:
    Config &text_of(const char *&field, const Text &text, const char *what)
    {
        field = keep(text, what);
        return *this;
    }
    Config &time_of(std::uint32_t &field, std::chrono::milliseconds time, const char *what)
    {
        set(field, time, what);
        return *this;
    }
    template <class T> Config &number(T &field, T value)
    {
        field = value;
        return *this;
    }

    detail::Sized<sortie_client_config> config_;
};

// ---- What to request ------------------------------------------------------------------------------------------------

/// What a request is: sortie_request_desc. What is not set is the default, and so is zero. Texts are copied in; a body
/// is not, unless it is a std::string that is moved in. One Request can be submitted many times.
class Request : public detail::Description {
public:
    explicit Request(const Text &url) { desc_.url = keep(url, "url"); }

    /// Adds flags.
    Request &flags(RequestFlags flags)
    {
        desc_.flags |= static_cast<std::uint32_t>(flags);
        return *this;
    }
    Request &method(const Text &name) { return text_of(desc_.method, name, "method"); }
    /// Adds a header.
    Request &header(const Text &name, const Text &value)
    {
        add_header(desc_.headers, desc_.header_count, name, value);
        return *this;
    }
    Request &priority(Priority priority) { return number(desc_.priority, static_cast<std::uint32_t>(priority)); }
    /// Comes back in each of the request's events. All 64 bits are yours, with a callback too.
    Request &user_data(std::uint64_t number_of_yours) { return number(desc_.user_data, number_of_yours); }

    /// The body. It must stay until the request is submitted. NULs are fine.
    Request &body(const Text &text) { return body_at(text.data(), text.size()); }
    Request &body(Bytes bytes) { return body_at(bytes.data(), bytes.size()); }
    Request &body(const void *data, std::size_t size) { return body_at(data, size); }
    /// The body, kept in here: for a string that is moved in.
    template <class S, std::enable_if_t<std::is_same_v<S, std::string>, int> = 0> Request &body(S &&text)
    {
        body_at("", 0);
        body_ = std::move(text);
        has_body_ = true;
        return *this;
    }
    /// A body that the library reads where it is, without a copy: it must stay until the request's ENDED event, or the
    /// client's end.
    Request &lend_body(Bytes bytes)
    {
        body_at(bytes.data(), bytes.size());
        return flags(RequestFlags::borrow_body);
    }
    /// A body that comes by Client::write() and finish(): its length in bytes, 0 if it is not known.
    Request &stream_body(std::uint64_t length = 0)
    {
        body_at(nullptr, 0);
        desc_.body_length = length;
        return flags(RequestFlags::stream_body);
    }
    /// A file as the body.
    Request &body_file(const Text &path, Directory base = Directory::none)
    {
        desc_.body_directory = static_cast<std::uint32_t>(base);
        return text_of(desc_.body_path, path, "body_file");
    }
    Request &body_kind(BodyKind kind) { return number(desc_.body_kind, static_cast<std::uint32_t>(kind)); }
    Request &content_type(const Text &type) { return text_of(desc_.content_type, type, "content_type"); }

    /// A form as the body, though nothing is added to it.
    Request &form()
    {
        if (!desc_.form_parts)
            desc_.form_parts = arena_.make<sortie_form_part>(4);
        return *this;
    }
    /// Adds a field to the form.
    Request &form_field(const Text &name, const Text &value)
    {
        sortie_form_part part{};
        part.name = keep(name, "a form field's name");
        // A NUL is fine in here, so this is no text to keep().
        part.data = value.data() ? arena_.copy(value.data(), value.size()) : nullptr;
        part.data_length = value.size();
        return add(part);
    }
    /// Adds bytes to the form, which must stay until the request is submitted.
    Request &form_data(const Text &name, Bytes data, const Text &filename = nullptr, const Text &content_type = nullptr)
    {
        sortie_form_part part{};
        part.name = keep(name, "a form part's name");
        part.data = data.data() ? static_cast<const void *>(data.data()) : "";
        part.data_length = data.size();
        part.filename = keep(filename, "a form part's filename");
        part.content_type = keep(content_type, "a form part's content_type");
        return add(part);
    }
    /// Adds a file to the form.
    Request &form_file(const Text &name, const Text &path, Directory base = Directory::none,
                       const Text &filename = nullptr, const Text &content_type = nullptr)
    {
        sortie_form_part part{};
        part.name = keep(name, "a form part's name");
        part.path = keep(path, "a form part's path");
        part.directory = static_cast<std::uint32_t>(base);
        part.filename = keep(filename, "a form part's filename");
        part.content_type = keep(content_type, "a form part's content_type");
        return add(part);
    }

    /// A file to write the response's body to.
    Request &response_file(const Text &path, Directory base = Directory::none)
    {
        desc_.response_directory = static_cast<std::uint32_t>(base);
        return text_of(desc_.response_path, path, "response_file");
    }
    Request &progress(Progress direction) { return number(desc_.progress, static_cast<std::uint32_t>(direction)); }
    Request &max_redirects(std::uint32_t count) { return number(desc_.max_redirects, count); }
    Request &http_version(HttpVersion version)
    {
        return number(desc_.http_version, static_cast<std::uint32_t>(version));
    }
    Request &timeout(std::chrono::milliseconds time) { return time_of(desc_.timeout_ms, time, "timeout"); }
    Request &connect_timeout(std::chrono::milliseconds time)
    {
        return time_of(desc_.connect_timeout_ms, time, "connect_timeout");
    }
    Request &stall_timeout(std::chrono::milliseconds time)
    {
        return time_of(desc_.stall_timeout_ms, time, "stall_timeout");
    }
    Request &queue_timeout(std::chrono::milliseconds time)
    {
        return time_of(desc_.queue_timeout_ms, time, "queue_timeout");
    }
    Request &max_body_bytes(std::uint64_t bytes) { return number(desc_.max_body_bytes, bytes); }
    Request &basic_auth(const Text &username, const Text &password)
    {
        desc_.username = keep(username, "username");
        return text_of(desc_.password, password, "password");
    }
    Request &bearer_token(const Text &token) { return text_of(desc_.bearer_token, token, "bearer_token"); }
    Request &expected_sha256(const Text &hash) { return text_of(desc_.expected_sha256, hash, "expected_sha256"); }
    Request &expected_length(std::uint64_t bytes) { return number(desc_.expected_length, bytes); }
    Request &max_attempts(std::uint32_t count) { return number(desc_.max_attempts, count); }
    Request &retry_delay(std::chrono::milliseconds time) { return time_of(desc_.retry_delay_ms, time, "retry_delay"); }
    Request &max_retry_delay(std::chrono::milliseconds time)
    {
        return time_of(desc_.max_retry_delay_ms, time, "max_retry_delay");
    }
    Request &attempt_timeout(std::chrono::milliseconds time)
    {
        return time_of(desc_.attempt_timeout_ms, time, "attempt_timeout");
    }
    Request &max_file_bytes(std::uint64_t bytes) { return number(desc_.max_file_bytes, bytes); }
    Request &stream_window_bytes(std::uint32_t bytes) { return number(desc_.stream_window_bytes, bytes); }
    Request &cache_mode(CacheMode mode) { return number(desc_.cache_mode, static_cast<std::uint32_t>(mode)); }
    Request &max_receive_bytes_per_second(std::uint64_t rate)
    {
        return number(desc_.max_receive_bytes_per_second, rate);
    }
    Request &max_send_bytes_per_second(std::uint64_t rate) { return number(desc_.max_send_bytes_per_second, rate); }
    /// A lowest speed of bodies, on average over each period.
    Request &min_bytes_per_second(std::uint64_t rate) { return number(desc_.min_bytes_per_second, rate); }
    Request &min_speed_period(std::chrono::milliseconds time)
    {
        return time_of(desc_.min_speed_period_ms, time, "min_speed_period");
    }
    /// A proxy for this request alone; "" means none.
    Request &proxy(const Text &url) { return text_of(desc_.proxy, url, "proxy"); }

    /// As C has it, valid as long as this and its body are.
    sortie_request_desc native() const noexcept
    {
        sortie_request_desc desc = desc_;
        if (has_body_) {
            desc.body = body_.data();
            desc.body_length = body_.size();
        }
        return desc;
    }

private:
    Request &text_of(const char *&field, const Text &text, const char *what)
    {
        field = keep(text, what);
        return *this;
    }
    Request &time_of(std::uint32_t &field, std::chrono::milliseconds time, const char *what)
    {
        set(field, time, what);
        return *this;
    }
    template <class T> Request &number(T &field, T value)
    {
        field = value;
        return *this;
    }
    Request &body_at(const void *data, std::size_t size)
    {
        has_body_ = false;
        desc_.flags &= ~static_cast<std::uint32_t>(SORTIE_REQUEST_BORROW_BODY);
        desc_.body = data;
        desc_.body_length = size;
        return *this;
    }
    Request &add(const sortie_form_part &part)
    {
        arena_.append(desc_.form_parts, desc_.form_part_count) = part;
        return *this;
    }

    detail::Sized<sortie_request_desc> desc_;
    std::string body_;
    bool has_body_ = false;
};

/// An answer made up for tests: sortie_mock. A body must stay until the mock is registered.
class Mock : public detail::Description {
public:
    /// The URLs that it answers; '*' stands for anything.
    explicit Mock(const Text &url) { mock_.url = keep(url, "a mock's url"); }

    Mock &method(const Text &name)
    {
        mock_.method = keep(name, "a mock's method");
        return *this;
    }
    Mock &status(std::uint32_t status)
    {
        mock_.status = status;
        return *this;
    }
    /// Adds a header.
    Mock &header(const Text &name, const Text &value)
    {
        add_header(mock_.headers, mock_.header_count, name, value);
        return *this;
    }
    Mock &delay(std::chrono::milliseconds time)
    {
        set(mock_.delay_ms, time, "a mock's delay");
        return *this;
    }
    Mock &body(const Text &text) { return body(Bytes(text.data(), text.size())); }
    Mock &body(Bytes bytes)
    {
        mock_.body = bytes.data();
        mock_.body_length = bytes.size();
        return *this;
    }
    Mock &bytes_per_second(std::uint64_t rate)
    {
        mock_.bytes_per_second = rate;
        return *this;
    }
    /// How the request ends, without an answer.
    Mock &error(ErrorKind kind)
    {
        mock_.error = static_cast<std::uint32_t>(kind);
        return *this;
    }
    using detail::Description::error;
    /// How many requests it answers.
    Mock &times(std::uint32_t count)
    {
        mock_.times = count;
        return *this;
    }

    /// As C has it, valid as long as this and its body are.
    const sortie_mock &native() const noexcept { return mock_; }

private:
    detail::Sized<sortie_mock> mock_;
};

// ---- What comes back ------------------------------------------------------------------------------------------------

class Client;
class Handle;

/// A request's id: a number that is safe to keep and to use after the request's end.
class Id {
public:
    constexpr Id() noexcept = default;
    constexpr explicit Id(sortie_request value) noexcept : value_(value) {}

    constexpr sortie_request value() const noexcept { return value_; }
    constexpr explicit operator bool() const noexcept { return value_ != 0; }
    friend constexpr bool operator==(Id a, Id b) noexcept { return a.value_ == b.value_; }
    friend constexpr bool operator!=(Id a, Id b) noexcept { return a.value_ != b.value_; }

private:
    friend class Client;
    friend class Handle;
    constexpr Id(sortie_request value, std::uint64_t ticket) noexcept : value_(value), ticket_(ticket) {}

    sortie_request value_ = 0;
    std::uint64_t ticket_ = 0;
};

/// A reachability watch's id.
class WatchId {
public:
    constexpr WatchId() noexcept = default;

    constexpr sortie_request value() const noexcept { return id_.value(); }
    constexpr explicit operator bool() const noexcept { return id_.value() != 0; }
    friend constexpr bool operator==(WatchId a, WatchId b) noexcept { return a.id_ == b.id_; }
    friend constexpr bool operator!=(WatchId a, WatchId b) noexcept { return a.id_ != b.id_; }

private:
    friend class Client;
    constexpr explicit WatchId(Id id) noexcept : id_(id) {}

    Id id_;
};

/// A mock's id.
enum class MockId : std::uint64_t {};

/// A body that was taken over from an event: owned, and good beyond the client's end.
class Body {
public:
    Body() = default;
    /// Takes over what C gave.
    explicit Body(sortie_body *body) noexcept : body_(body) {}
    Body(Body &&other) noexcept : body_(std::exchange(other.body_, nullptr)) {}
    Body &operator=(Body &&other) noexcept
    {
        std::swap(body_, other.body_);
        return *this;
    }
    ~Body() { sortie_body_free(body_); }

    explicit operator bool() const noexcept { return body_ != nullptr; }
    /// The bytes, with a NUL one past their end.
    const std::byte *data() const noexcept { return static_cast<const std::byte *>(sortie_body_data(body_)); }
    std::size_t size() const noexcept { return static_cast<std::size_t>(sortie_body_length(body_)); }
    const std::byte *begin() const noexcept { return data(); }
    const std::byte *end() const noexcept { return data() + size(); }
    std::string_view text() const noexcept
    {
        if (!body_)
            return {};
        return std::string_view(static_cast<const char *>(sortie_body_data(body_)), size());
    }
    void reset() noexcept { sortie_body_free(std::exchange(body_, nullptr)); }
    /// Gives it up, to be freed by sortie_body_free().
    sortie_body *release() noexcept { return std::exchange(body_, nullptr); }

private:
    sortie_body *body_ = nullptr;
};

/// A response header, or trailer.
struct Header {
    std::string_view name;
    std::string_view value;
};

/// What a text was written in.
struct Charset {
    /// As the WHATWG Encoding Standard has it; empty if there is no text.
    std::string_view name;
    CharsetSource source = CharsetSource::none;
};

/// Where a request's time went, and over what; a step that did not happen took none.
struct Timing {
    std::uint32_t redirects = 0;
    std::chrono::microseconds queued{};
    std::chrono::microseconds name_lookup{};
    std::chrono::microseconds connect{};
    std::chrono::microseconds tls{};
    std::chrono::microseconds first_byte{};
    std::chrono::microseconds total{};
    std::uint32_t attempts = 0;
    Protocol protocol = Protocol::none;
    bool connection_reused = false;
    /// Of bodies on the wire, of all hops and attempts.
    std::uint64_t bytes_received = 0;
    std::uint64_t bytes_sent = 0;
};

/// An event's response headers, or its trailers, for a range-based for.
class Headers {
public:
    class iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = Header;
        using difference_type = std::ptrdiff_t;
        using pointer = void;
        using reference = Header;

        iterator() = default;
        Header operator*() const
        {
            const char *name = nullptr, *value = nullptr;
            (trailers_ ? sortie_event_trailer_at : sortie_event_header_at)(event_, index_, &name, &value);
            return {detail::view(name), detail::view(value)};
        }
        iterator &operator++() noexcept
        {
            ++index_;
            return *this;
        }
        iterator operator++(int) noexcept
        {
            const iterator before = *this;
            ++index_;
            return before;
        }
        friend bool operator==(const iterator &a, const iterator &b) noexcept { return a.index_ == b.index_; }
        friend bool operator!=(const iterator &a, const iterator &b) noexcept { return a.index_ != b.index_; }

    private:
        friend class Headers;
        iterator(const Headers &headers, std::uint32_t index) noexcept
            : event_(headers.event_), trailers_(headers.trailers_), index_(index)
        {
        }

        const sortie_event *event_ = nullptr;
        bool trailers_ = false;
        std::uint32_t index_ = 0;
    };

    explicit Headers(const sortie_event &event) noexcept : event_(&event) {}
    static Headers trailers(const sortie_event &event) noexcept
    {
        Headers headers(event);
        headers.trailers_ = true;
        return headers;
    }

    iterator begin() const noexcept { return iterator(*this, 0); }
    iterator end() const noexcept { return iterator(*this, count()); }
    std::size_t size() const noexcept { return count(); }

private:
    std::uint32_t count() const noexcept
    {
        return trailers_ ? sortie_event_trailer_count(event_) : sortie_event_header_count(event_);
    }

    const sortie_event *event_;
    bool trailers_ = false;
};

/// Something that happened to a request. It, and all that it points to, is there until the callback that it was given
/// to returns; for longer, take_body(), or make a Response of it.
class Event {
public:
    Event(const Event &) = delete;
    Event &operator=(const Event &) = delete;

    EventType type() const noexcept { return static_cast<EventType>(raw_->type); }
    /// Whether this is the request's last event.
    bool ended() const noexcept { return raw_->type == SORTIE_EVENT_ENDED; }
    Id id() const noexcept { return id_; }
    std::uint64_t user_data() const noexcept { return raw_->user_data; }
    ErrorKind error() const noexcept { return static_cast<ErrorKind>(raw_->error); }
    /// Whether there is an error, which a status such as 404 is not.
    bool failed() const noexcept { return raw_->error != SORTIE_ERROR_NONE; }
    /// What went wrong, for a person. Of the trace: its line.
    std::string_view message() const noexcept { return detail::view(raw_->message); }
    int status() const noexcept { return raw_->status; }
    BodyKind body_kind() const noexcept { return static_cast<BodyKind>(raw_->body_kind); }
    std::string_view body() const noexcept
    {
        return std::string_view(static_cast<const char *>(raw_->body), static_cast<std::size_t>(raw_->body_length));
    }
    Bytes bytes() const noexcept { return Bytes(raw_->body, static_cast<std::size_t>(raw_->body_length)); }
    /// Takes the body over, without a copy.
    [[nodiscard]] Result<Body> take_body() const
    {
        sortie_body *body = nullptr;
        const sortie_result result = sortie_event_take_body(raw_, &body);
        if (result != SORTIE_OK)
            return Error::of(result);
        return Body(body);
    }
    std::string_view file_path() const noexcept { return detail::view(raw_->file_path); }
    std::string_view url() const noexcept { return detail::view(raw_->url); }
    /// The URL that answered, after redirects; empty if no response came.
    std::string_view effective_url() const noexcept { return detail::view(sortie_event_effective_url(raw_)); }
    std::string_view status_line() const noexcept { return detail::view(sortie_event_status_line(raw_)); }
    /// The server's or the proxy's, with its port, of ENDED and RETRY events.
    std::string_view remote_address() const noexcept { return detail::view(sortie_event_remote_address(raw_)); }
    std::uint64_t bytes_transferred() const noexcept { return raw_->bytes_transferred; }
    /// -1 if unknown.
    std::int64_t bytes_estimated() const noexcept { return raw_->bytes_estimated; }
    Network network() const noexcept { return static_cast<Network>(raw_->network); }
    EventFlags flags() const noexcept { return static_cast<EventFlags>(raw_->flags); }
    TraceLevel trace_level() const noexcept { return static_cast<TraceLevel>(raw_->trace_level); }
    std::uint32_t attempts() const noexcept { return raw_->attempts; }
    std::chrono::milliseconds retry_delay() const noexcept { return std::chrono::milliseconds(raw_->retry_delay_ms); }

    /// A response header by its name, whatever the letters' case; the index tells several of one name apart.
    std::optional<std::string_view> header(const Text &name, std::uint32_t index = 0) const
    {
        const detail::Terminated terminated(name, "a header's name");
        const char *value = terminated.is_bad() ? nullptr : sortie_event_header(raw_, terminated.get(), index);
        return value ? std::optional<std::string_view>(value) : std::nullopt;
    }
    Headers headers() const noexcept { return Headers(*raw_); }
    /// A field that came after the body of a response, of an ENDED event; the same for all of them below.
    std::optional<std::string_view> trailer(const Text &name, std::uint32_t index = 0) const
    {
        const detail::Terminated terminated(name, "a trailer's name");
        const char *value = terminated.is_bad() ? nullptr : sortie_event_trailer(raw_, terminated.get(), index);
        return value ? std::optional<std::string_view>(value) : std::nullopt;
    }
    Headers trailers() const noexcept { return Headers::trailers(*raw_); }
    Charset charset() const noexcept
    {
        std::uint32_t source = 0;
        const char *name = sortie_event_charset(raw_, &source);
        return {detail::view(name), static_cast<CharsetSource>(source)};
    }
    /// Of an ENDED event.
    [[nodiscard]] Result<Timing> timing() const
    {
        sortie_timing raw{};
        raw.struct_size = sizeof raw;
        const sortie_result result = sortie_event_timing(raw_, &raw);
        if (result != SORTIE_OK)
            return Error::of(result);
        const auto time = [](std::uint64_t us) { return std::chrono::microseconds(static_cast<std::int64_t>(us)); };
        Timing timing;
        timing.redirects = raw.redirects;
        timing.queued = time(raw.queued_us);
        timing.name_lookup = time(raw.name_lookup_us);
        timing.connect = time(raw.connect_us);
        timing.tls = time(raw.tls_us);
        timing.first_byte = time(raw.first_byte_us);
        timing.total = time(raw.total_us);
        timing.attempts = raw.attempts;
        timing.protocol = static_cast<Protocol>(raw.protocol);
        timing.connection_reused = raw.connection_reused != 0;
        timing.bytes_received = raw.bytes_received;
        timing.bytes_sent = raw.bytes_sent;
        return timing;
    }

    /// As C has it.
    const sortie_event &native() const noexcept { return *raw_; }

private:
    friend class Client;
    Event(const sortie_event &raw, Id id) noexcept : raw_(&raw), id_(id) {}

    const sortie_event *raw_;
    Id id_;
};

/// What an event says of a response, to keep: texts copied, the body taken over.
class Response {
public:
    Response() = default;
    explicit Response(const Event &event)
    {
        facts_.error = event.error();
        facts_.status = event.status();
        facts_.body_kind = event.body_kind();
        facts_.flags = event.flags();
        facts_.message = keep(event.message());
        facts_.url = keep(event.url());
        facts_.effective_url = keep(event.effective_url());
        facts_.file_path = keep(event.file_path());
        facts_.status_line = keep(event.status_line());
        facts_.remote_address = keep(event.remote_address());
        facts_.headers = keep(event.headers());
        facts_.trailers = keep(event.trailers());
        if (event.ended())
            facts_.timing = *event.timing();
        if (event.native().body)
            body_ = *event.take_body();
    }
    Response(Response &&other) noexcept
        : arena_(std::move(other.arena_)), facts_(std::exchange(other.facts_, Facts())), body_(std::move(other.body_))
    {
    }
    Response &operator=(Response &&other) noexcept
    {
        std::swap(arena_, other.arena_);
        std::swap(facts_, other.facts_);
        std::swap(body_, other.body_);
        return *this;
    }

    ErrorKind error() const noexcept { return facts_.error; }
    bool failed() const noexcept { return facts_.error != ErrorKind::none; }
    std::string_view message() const noexcept { return facts_.message; }
    int status() const noexcept { return facts_.status; }
    BodyKind body_kind() const noexcept { return facts_.body_kind; }
    EventFlags flags() const noexcept { return facts_.flags; }
    std::string_view body() const noexcept { return body_.text(); }
    Bytes bytes() const noexcept { return Bytes(body_.data(), body_.size()); }
    Body take_body() noexcept { return std::move(body_); }
    std::string_view file_path() const noexcept { return facts_.file_path; }
    std::string_view url() const noexcept { return facts_.url; }
    std::string_view effective_url() const noexcept { return facts_.effective_url; }
    std::string_view status_line() const noexcept { return facts_.status_line; }
    std::string_view remote_address() const noexcept { return facts_.remote_address; }
    const Timing &timing() const noexcept { return facts_.timing; }

    /// Fields in order of arrival, as long as their Response is neither moved nor destroyed.
    class Fields {
    public:
        const Header *begin() const noexcept { return first_; }
        const Header *end() const noexcept { return first_ + size_; }
        std::size_t size() const noexcept { return size_; }

    private:
        friend class Response;
        const Header *first_ = nullptr;
        std::size_t size_ = 0;
    };

    /// The headers, as a range.
    const Header *begin() const noexcept { return facts_.headers.begin(); }
    const Header *end() const noexcept { return facts_.headers.end(); }
    /// A header by its name, whatever the letters' case.
    std::optional<std::string_view> header(std::string_view name, std::uint32_t index = 0) const noexcept
    {
        return find(facts_.headers, name, index);
    }
    /// What came after the body.
    const Fields &trailers() const noexcept { return facts_.trailers; }
    std::optional<std::string_view> trailer(std::string_view name, std::uint32_t index = 0) const noexcept
    {
        return find(facts_.trailers, name, index);
    }

private:
    /// What points into the arena, and so goes with it.
    struct Facts {
        ErrorKind error = ErrorKind::none;
        int status = 0;
        BodyKind body_kind = BodyKind::default_;
        EventFlags flags = EventFlags::none;
        std::string_view message, url, effective_url, file_path, status_line, remote_address;
        Fields headers, trailers;
        Timing timing;
    };

    std::string_view keep(std::string_view text)
    {
        return text.empty() ? std::string_view() : std::string_view(arena_.copy(text.data(), text.size()), text.size());
    }
    Fields keep(const Headers &fields)
    {
        Fields kept;
        kept.size_ = fields.size();
        if (kept.size_ == 0)
            return kept;
        Header *to = arena_.make<Header>(kept.size_);
        kept.first_ = to;
        for (const Header field : fields)
            new (to++) Header{keep(field.name), keep(field.value)};
        return kept;
    }
    static std::optional<std::string_view> find(const Fields &fields, std::string_view name, std::uint32_t index) noexcept
    {
        for (const Header &field : fields) {
            if (same(field.name, name) && index-- == 0)
                return field.value;
        }
        return std::nullopt;
    }
    static bool same(std::string_view a, std::string_view b) noexcept
    {
        if (a.size() != b.size())
            return false;
        const auto small_letter = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; };
        for (std::size_t i = 0; i < a.size(); ++i) {
            if (small_letter(a[i]) != small_letter(b[i]))
                return false;
        }
        return true;
    }

    detail::Arena arena_;
    Facts facts_;
    Body body_;
};

/// A client's counts and gauges, as sortie.h has them.
using Stats = sortie_stats;

// ---- Callbacks ------------------------------------------------------------------------------------------------------

namespace detail {

/// What a function writes as snprintf() does.
template <class Write> Result<std::string> written(std::size_t guess, Write &&write)
{
    std::string out(guess, '\0');
    for (;;) {
        // The string's own NUL is written over with a NUL.
        const std::int64_t length = write(&out[0], static_cast<std::uint64_t>(out.size()) + 1);
        if (length < 0)
            return Error::of(static_cast<sortie_result>(length));
        const bool fits = static_cast<std::uint64_t>(length) <= out.size();
        out.resize(static_cast<std::size_t>(length));
        if (fits)
            return out;
    }
}

template <class F>
inline constexpr bool is_callback = std::is_invocable_v<std::decay_t<F> &, const Event &>;

/// A callable that stays in its place, so that it needs neither copying nor moving: std::function could not hold one
/// that owns a Body, and would go to the heap for more than two pointers.
class Callback {
public:
    Callback() = default;
    Callback(const Callback &) = delete;
    Callback &operator=(const Callback &) = delete;
    ~Callback() { reset(); }

    template <class F> void emplace(F &&callable)
    {
        using Callable = std::decay_t<F>;
        if constexpr (sizeof(Callable) <= sizeof room_ && alignof(Callable) <= alignof(std::max_align_t)) {
            new (room_) Callable(std::forward<F>(callable));
            call_ = [](void *room, const Event &event) {
                static_cast<void>((*std::launder(static_cast<Callable *>(room)))(event));
            };
            end_ = [](void *room) noexcept { std::launder(static_cast<Callable *>(room))->~Callable(); };
        } else {
            new (room_) Callable *(new Callable(std::forward<F>(callable)));
            call_ = [](void *room, const Event &event) {
                static_cast<void>((**std::launder(static_cast<Callable **>(room)))(event));
            };
            end_ = [](void *room) noexcept { delete *std::launder(static_cast<Callable **>(room)); };
        }
    }

    explicit operator bool() const noexcept { return call_ != nullptr; }
    void operator()(const Event &event) { call_(room_, event); }

    void reset() noexcept
    {
        call_ = nullptr;
        // What ends may come back here.
        if (auto end = std::exchange(end_, nullptr))
            end(room_);
    }

private:
    alignas(std::max_align_t) unsigned char room_[6 * sizeof(void *)];
    void (*call_)(void *, const Event &) = nullptr;
    void (*end_)(void *) noexcept = nullptr;
};

/// What the binding remembers of a request that has a callback.
struct Slot {
    Callback callback;
    /// The program's own.
    std::uint64_t user_data = 0;
    std::atomic<std::uint32_t> generation{0};
    /// The next free one, plus 1.
    std::atomic<std::uint32_t> next{0};
    bool is_running = false;
    /// Its events go nowhere.
    bool is_dropped = false;
    /// To be released once the callback returns.
    bool is_over = false;
};

/// The slots. A request's user_data, as the library has it, is a ticket: 11 bits that mark it, the slot's generation,
/// its index. So an event leads to its slot without a search, and one that comes too late leads nowhere. A program's
/// own user_data that looks like a ticket is put into a slot. Any thread takes slots; only the polling one releases
/// those that were used.
class Slots {
public:
    Slots() = default;
    Slots(const Slots &) = delete;
    Slots &operator=(const Slots &) = delete;
    ~Slots()
    {
        for (std::atomic<Slot *> &segment : segments_)
            delete[] segment.load(std::memory_order_relaxed);
    }

    static constexpr bool is_ticket(std::uint64_t user_data) noexcept { return user_data >> (64 - mark_bits) == mark; }

    /// Null if there are as many as can be.
    Slot *take(std::uint64_t &ticket)
    {
        std::uint32_t index = 0;
        if (!pop(index)) {
            index = fresh_.fetch_add(1, std::memory_order_relaxed);
            if (index >= capacity) {
                fresh_.fetch_sub(1, std::memory_order_relaxed);
                return nullptr;
            }
            make_segment_of(index);
        }
        Slot &slot = at(index);
        ticket = mark << (64 - mark_bits) |
                 std::uint64_t(slot.generation.load(std::memory_order_relaxed)) << index_bits | index;
        return &slot;
    }

    /// Null for one that was released.
    Slot *find(std::uint64_t ticket) noexcept
    {
        const std::uint32_t index = index_of(ticket);
        if (!is_ticket(ticket) || index >= fresh_.load(std::memory_order_relaxed))
            return nullptr;
        Slot &slot = at(index);
        const auto generation = static_cast<std::uint32_t>(ticket >> index_bits);
        return slot.generation.load(std::memory_order_acquire) == generation ? &slot : nullptr;
    }

    void release(Slot &slot, std::uint64_t ticket) noexcept
    {
        // First, since what the callback holds may be a handle of this very slot, which then finds it gone.
        slot.generation.fetch_add(1, std::memory_order_release);
        slot.callback.reset();
        slot.is_running = slot.is_dropped = slot.is_over = false;
        push(slot, index_of(ticket));
    }

    /// Ends what the callbacks hold; for when no other thread is left.
    void clear() noexcept
    {
        std::uint32_t size = first_segment;
        for (std::atomic<Slot *> &segment : segments_) {
            Slot *first = segment.load(std::memory_order_acquire);
            for (std::uint32_t i = 0; first && i < size; ++i)
                first[i].callback.reset();
            size *= 2;
        }
    }

private:
    static constexpr unsigned mark_bits = 11, index_bits = 21;
    static constexpr std::uint64_t mark = 0x5a7;
    /// Each segment has twice the slots of the one before, and stays where it is.
    static constexpr std::uint32_t first_segment = 64;
    static constexpr std::size_t segment_count = 15;
    static constexpr std::uint32_t capacity = first_segment * ((1u << segment_count) - 1);

    static constexpr std::uint32_t index_of(std::uint64_t ticket) noexcept
    {
        return static_cast<std::uint32_t>(ticket & ((1u << index_bits) - 1));
    }

    Slot &at(std::uint32_t index) noexcept
    {
        std::uint32_t size = first_segment;
        std::size_t segment = 0;
        for (; index >= size; ++segment, size *= 2)
            index -= size;
        return segments_[segment].load(std::memory_order_acquire)[index];
    }

    void make_segment_of(std::uint32_t index)
    {
        std::uint32_t size = first_segment;
        std::size_t segment = 0;
        for (; index >= size; ++segment, size *= 2)
            index -= size;
        if (segments_[segment].load(std::memory_order_acquire))
            return;
        std::unique_ptr<Slot[]> made(new Slot[size]);
        Slot *none = nullptr;
        // Another thread may have been first.
        if (segments_[segment].compare_exchange_strong(none, made.get(), std::memory_order_acq_rel))
            made.release();
    }

    // A list of free slots with a counter, so that a head that was away and came back is told from one that stayed.
    bool pop(std::uint32_t &index) noexcept
    {
        std::uint64_t head = free_.load(std::memory_order_acquire);
        for (;;) {
            const auto first = static_cast<std::uint32_t>(head);
            if (first == 0)
                return false;
            const std::uint64_t next = (head >> 32 << 32) + (std::uint64_t(1) << 32) +
                                       at(first - 1).next.load(std::memory_order_relaxed);
            if (free_.compare_exchange_weak(head, next, std::memory_order_acq_rel, std::memory_order_acquire)) {
                index = first - 1;
                return true;
            }
        }
    }

    void push(Slot &slot, std::uint32_t index) noexcept
    {
        std::uint64_t head = free_.load(std::memory_order_relaxed);
        std::uint64_t next = 0;
        do {
            slot.next.store(static_cast<std::uint32_t>(head), std::memory_order_relaxed);
            next = (head >> 32 << 32) + (std::uint64_t(1) << 32) + index + 1;
        } while (!free_.compare_exchange_weak(head, next, std::memory_order_acq_rel, std::memory_order_relaxed));
    }

    std::array<std::atomic<Slot *>, segment_count> segments_{};
    std::atomic<std::uint64_t> free_{0};
    std::atomic<std::uint32_t> fresh_{0};
};

/// What stays in its place when a Client is moved, and is left for handles when it is gone.
class Core {
public:
    explicit Core(sortie_client *created) noexcept : client(created) {}

    void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
    void release() noexcept
    {
        if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1)
            delete this;
    }

    /// Destroys the client and ends the callbacks.
    void shut() noexcept
    {
        sortie_client_destroy(std::exchange(client, nullptr));
        table.clear();
    }

    sortie_client *client;
    /// The Client is gone, or will be as soon as poll() returns.
    bool is_closing = false;
    std::atomic<bool> is_polling{false};
    std::atomic<bool> is_suspended{false};
    /// Whether events of the last sortie_poll() are still to be delivered, after an exception or a limit.
    std::atomic<bool> has_more{false};
    std::uint32_t next = 0;
    std::uint32_t count = 0;
    std::array<sortie_event, 32> events;
    Slots table;

    /// No event of this ticket reaches its callback any more; a watch's slot is free.
    void drop(std::uint64_t ticket, bool is_watch) noexcept
    {
        Slot *slot = table.find(ticket);
        if (!slot)
            return;
        slot->is_dropped = true;
        slot->is_over = slot->is_over || is_watch;
        if (slot->is_running)
            return;
        if (is_watch)
            table.release(*slot, ticket);
        else
            slot->callback.reset();
    }

private:
    std::atomic<std::uint32_t> references_{1};
};

/// poll(), for as long as it runs.
class Polling {
public:
    explicit Polling(Core &core) noexcept : core_(core) {}
    Polling(const Polling &) = delete;
    Polling &operator=(const Polling &) = delete;
    ~Polling()
    {
        core_.has_more.store(core_.next < core_.count, std::memory_order_relaxed);
        core_.is_polling.store(false, std::memory_order_release);
        if (core_.is_closing) {
            // Closed by a callback: what close() has left to do.
            core_.shut();
            core_.release();
        }
    }

private:
    Core &core_;
};

/// A callback, for as long as it runs.
class Running {
public:
    Running(Slots &table, Slot &slot, std::uint64_t ticket, bool is_last) noexcept
        : table_(table), slot_(slot), ticket_(ticket)
    {
        slot.is_running = true;
        slot.is_over = is_last;
    }
    Running(const Running &) = delete;
    Running &operator=(const Running &) = delete;
    ~Running()
    {
        slot_.is_running = false;
        if (slot_.is_over)
            table_.release(slot_, ticket_);
        else if (slot_.is_dropped)
            slot_.callback.reset();
    }

private:
    Slots &table_;
    Slot &slot_;
    std::uint64_t ticket_;
};

} // namespace detail

// ---- The handle -----------------------------------------------------------------------------------------------------

/// Owns a request or a watch: when it goes, the request is cancelled (the watch ended), and its callback never runs
/// again, not even to tell that. For objects whose callbacks point back to them. May outlive its client.
class Handle {
public:
    Handle() = default;
    Handle(Handle &&other) noexcept
        : core_(std::exchange(other.core_, nullptr)), id_(other.id_), is_watch_(other.is_watch_)
    {
    }
    Handle &operator=(Handle &&other) noexcept
    {
        Handle taken(std::move(other));
        std::swap(core_, taken.core_);
        std::swap(id_, taken.id_);
        std::swap(is_watch_, taken.is_watch_);
        return *this;
    }
    ~Handle() { reset(); }

    /// Whether it owns one, which may have ended.
    explicit operator bool() const noexcept { return core_ != nullptr; }
    Id id() const noexcept { return core_ ? id_ : Id(); }

    /// Asks the request to stop, as Client::cancel(): its callback is still told the end.
    Result<void> cancel() const
    {
        if (!core_)
            return Error(Code::stale, "the handle is empty");
        if (core_->is_closing)
            return Error(Code::shutdown, "the client has been destroyed");
        return detail::checked(sortie_cancel(core_->client, id_.value()));
    }

    /// Lets go of it: it goes on, and so does its callback.
    Id detach() noexcept
    {
        const Id id = this->id();
        if (detail::Core *core = std::exchange(core_, nullptr))
            core->release();
        return id;
    }

    /// What the destructor does.
    void reset() noexcept
    {
        detail::Core *core = std::exchange(core_, nullptr);
        if (!core)
            return;
        if (!core->is_closing) {
            if (is_watch_)
                sortie_reachability_unwatch(core->client, id_.value());
            else
                sortie_cancel(core->client, id_.value());
        }
        core->drop(id_.ticket_, is_watch_);
        core->release();
    }

private:
    friend class Client;
    Handle(detail::Core &core, Id id, bool is_watch) noexcept : core_(&core), id_(id), is_watch_(is_watch)
    {
        core.retain();
    }

    detail::Core *core_ = nullptr;
    Id id_;
    bool is_watch_ = false;
};

#ifdef SORTIE_HPP_COROUTINES
class Fetch;
#endif

// ---- The client -----------------------------------------------------------------------------------------------------

/// An HTTP client. A default one, one that was moved from and one that was closed have no client: they refuse
/// everything with Code::null_argument.
class Client {
public:
    Client() = default;
    Client(Client &&other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
    Client &operator=(Client &&other) noexcept
    {
        detail::Core *taken = std::exchange(other.core_, nullptr);
        close();
        core_ = taken;
        return *this;
    }
    ~Client() { close(); }

    [[nodiscard]] static Result<Client> create() { return create_from(nullptr); }
    [[nodiscard]] static Result<Client> create(const Config &config)
    {
        if (config.error().code() != Code::ok)
            return config.error();
        return create_from(&config.native());
    }

    /// Destroys the client: what has not ended is dropped without an event, callbacks never run again. Within a
    /// callback of its own, poll() does so as soon as that returns. Again is fine.
    void close() noexcept
    {
        detail::Core *core = std::exchange(core_, nullptr);
        if (!core)
            return;
        core->is_closing = true;
        if (core->is_polling.load(std::memory_order_acquire))
            return;
        core->shut();
        core->release();
    }

    explicit operator bool() const noexcept { return core_ != nullptr; }

    /// For C; null if there is none. Not to be polled by C as well: callbacks would miss their events.
    sortie_client *native() const noexcept { return core_ ? core_->client : nullptr; }

    // ---- Requests: with a callback, or for poll()'s handler ----

    /// Submits a request. Its events go to poll()'s handler.
    [[nodiscard]] Result<Id> submit(const Request &request) { return submit_desc(request, nullptr); }
    /// Submits a request. Its events go to the callback, `void(const Event &)`, inside poll(); it is destroyed after
    /// the last.
    template <class F, std::enable_if_t<detail::is_callback<F>, int> = 0>
    [[nodiscard]] Result<Id> submit(const Request &request, F &&callback)
    {
        return submit_desc(request, std::forward<F>(callback));
    }

    /// Submits a GET request for a body in memory.
    [[nodiscard]] Result<Id> get(const Text &url, std::uint64_t user_data = 0)
    {
        return get_url(url, user_data, nullptr);
    }
    template <class F, std::enable_if_t<detail::is_callback<F>, int> = 0>
    [[nodiscard]] Result<Id> get(const Text &url, F &&callback)
    {
        return get_url(url, 0, std::forward<F>(callback));
    }

    /// Submits a GET request whose body goes to a file, with progress events and without a limit on the total time.
    [[nodiscard]] Result<Id> download(const Text &url, const Text &path, std::uint64_t user_data = 0)
    {
        return download_file(url, path, user_data, nullptr);
    }
    template <class F, std::enable_if_t<detail::is_callback<F>, int> = 0>
    [[nodiscard]] Result<Id> download(const Text &url, const Text &path, F &&callback)
    {
        return download_file(url, path, 0, std::forward<F>(callback));
    }

    /// Submits a POST request whose body is a file, likewise. A null content_type means application/octet-stream.
    [[nodiscard]] Result<Id> upload(const Text &url, const Text &path, const Text &content_type,
                                    std::uint64_t user_data = 0)
    {
        return upload_file(url, path, content_type, user_data, nullptr);
    }
    template <class F, std::enable_if_t<detail::is_callback<F>, int> = 0>
    [[nodiscard]] Result<Id> upload(const Text &url, const Text &path, const Text &content_type, F &&callback)
    {
        return upload_file(url, path, content_type, 0, std::forward<F>(callback));
    }

    /// A handle that owns a request of this client.
    [[nodiscard]] Handle hold(Id id) const noexcept
    {
        return core_ && id ? Handle(*core_, id, false) : Handle();
    }
    /// A handle that owns a watch of this client.
    [[nodiscard]] Handle hold(WatchId watch) const noexcept
    {
        return core_ && watch ? Handle(*core_, watch.id_, true) : Handle();
    }

    /// Asks a request to stop. It still ends with an ENDED event.
    Result<void> cancel(Id id) { return detail::checked(sortie_cancel(native(), id.value())); }
    Result<void> pause(Id id) { return detail::checked(sortie_request_pause(native(), id.value())); }
    Result<void> unpause(Id id) { return detail::checked(sortie_request_unpause(native(), id.value())); }
    Result<void> set_priority(Id id, Priority priority)
    {
        return detail::checked(
            sortie_request_set_priority(native(), id.value(), static_cast<std::uint32_t>(priority)));
    }

    /// Limits a request's rates, in bytes a second; 0 means no limit.
    Result<void> set_rate(Id id, std::uint64_t receive, std::uint64_t send)
    {
        return detail::checked(sortie_request_set_rate(native(), id.value(), receive, send));
    }
    /// Hands over the next piece of a streamed body. Gives how many bytes were taken; after less than all, an
    /// EventType::writable tells when there is room again.
    [[nodiscard]] Result<std::uint64_t> write(Id id, Bytes bytes)
    {
        std::uint64_t taken = 0;
        const sortie_result result = sortie_body_write(native(), id.value(), bytes.data(), bytes.size(), &taken);
        if (result != SORTIE_OK)
            return Error::of(result);
        return taken;
    }
    [[nodiscard]] Result<std::uint64_t> write(Id id, const Text &text)
    {
        return write(id, Bytes(text.data(), text.size()));
    }
    /// Says that a streamed body has come to its end.
    Result<void> finish(Id id) { return detail::checked(sortie_body_finish(native(), id.value())); }

#ifdef SORTIE_HPP_COROUTINES
    /// Submits a request at once, and gives what a coroutine may co_await: a Result<Response>. See Fetch.
    Fetch fetch(const Request &request);
    Fetch fetch(const Text &url);
#endif

    // ---- Events ----

    /// Drains events and runs their callbacks: call it once a frame. Never waits. Gives the number of events.
    ///
    /// The handler, `void(const Event &)`, gets the events of requests that have no callback, and the trace; without
    /// one they are passed over. Callbacks and handler may do with this client what they like, but poll it: that is
    /// refused as Code::busy. An exception leaves poll(); the events that were left come with the next one. max_events
    /// may leave some as well.
    template <class F, std::enable_if_t<detail::is_callback<F>, int> = 0>
    Result<std::size_t> poll(F &&handler, std::size_t max_events = static_cast<std::size_t>(-1))
    {
        detail::Core *core = core_;
        if (!core)
            return Error::of(static_cast<sortie_result>(sortie_poll(nullptr, nullptr, 0)));
        if (core->is_polling.exchange(true, std::memory_order_acquire))
            return Error(Code::busy, "poll() is running already, in another thread or around this callback");
        const detail::Polling polling(*core);
        std::size_t handled = 0;
        for (bool is_last = false; handled < max_events; ++handled) {
            if (core->is_closing || core->is_suspended.load(std::memory_order_relaxed))
                break;
            if (core->next == core->count) {
                if (is_last)
                    break;
                const std::size_t left = max_events - handled;
                const std::size_t room = left < core->events.size() ? left : core->events.size();
                core->next = core->count = 0;
                const std::int32_t count =
                    sortie_poll(core->client, core->events.data(), static_cast<std::uint32_t>(room));
                if (count < 0)
                    return Error::of(static_cast<sortie_result>(count));
                if (count == 0)
                    break;
                core->count = static_cast<std::uint32_t>(count);
                // Nothing more is there, or has only just come.
                is_last = core->count < room;
            }
            deliver(*core, core->events[core->next++], handler);
        }
        return handled;
    }
    Result<std::size_t> poll()
    {
        return poll([](const Event &) {});
    }

    /// Sleeps until poll() has something to give, for tools and tests. Whether it has; false without a client.
    bool wait(std::chrono::milliseconds timeout)
    {
        if (core_ && core_->has_more.load(std::memory_order_relaxed) &&
            !core_->is_suspended.load(std::memory_order_relaxed))
            return true;
        const std::int64_t longest = static_cast<std::int64_t>(SORTIE_NO_TIMEOUT);
        const std::int64_t ms = timeout.count() < 0 ? 0 : timeout.count() > longest ? longest : timeout.count();
        return sortie_wait(native(), static_cast<std::uint32_t>(ms)) == 1;
    }

    // ---- The client as a whole ----

    /// Until resume(), no event is given out and nothing new starts.
    Result<void> suspend()
    {
        const Result<void> result = detail::checked(sortie_client_suspend(native()));
        if (result)
            core_->is_suspended.store(true, std::memory_order_relaxed);
        return result;
    }
    Result<void> resume()
    {
        const Result<void> result = detail::checked(sortie_client_resume(native()));
        if (result)
            core_->is_suspended.store(false, std::memory_order_relaxed);
        return result;
    }
    [[nodiscard]] Result<Stats> stats() const
    {
        Stats stats{};
        stats.struct_size = sizeof stats;
        const sortie_result result = sortie_client_stats(native(), &stats);
        if (result != SORTIE_OK)
            return Error::of(result);
        return stats;
    }
    /// Limits the rates of all requests together, in bytes a second; 0 means no limit.
    Result<void> set_rate(std::uint64_t receive, std::uint64_t send)
    {
        return detail::checked(sortie_client_set_rate(native(), receive, send));
    }
    /// Sets how much the trace tells, to poll()'s handler.
    Result<void> set_trace_level(TraceLevel level)
    {
        return detail::checked(sortie_client_set_trace_level(native(), static_cast<std::uint32_t>(level)));
    }
    /// What the machine's network is like.
    Network network() const noexcept { return static_cast<Network>(sortie_client_network(native())); }

    Result<void> set_cookie(const Text &url, const Text &cookie)
    {
        const detail::Terminated where(url, "url"), what(cookie, "cookie");
        if (where.is_bad() || what.is_bad())
            return where.is_bad() ? where.error() : what.error();
        return detail::checked(sortie_client_set_cookie(native(), where.get(), what.get()));
    }
    /// The cookies that a request for a URL would be sent now, as its Cookie header has them. Their bytes need not be
    /// UTF-8.
    [[nodiscard]] Result<std::string> cookies(const Text &url) const
    {
        const detail::Terminated where(url, "url");
        if (where.is_bad())
            return where.error();
        return detail::written(0, [&](char *out, std::uint64_t capacity) {
            return sortie_client_cookies(native(), where.get(), out, capacity);
        });
    }
    Result<void> clear_cookies() { return detail::checked(sortie_client_clear_cookies(native())); }
    Result<void> clear_cache() { return detail::checked(sortie_client_clear_cache(native())); }

    /// Watches whether a host can be reached, for poll()'s handler.
    [[nodiscard]] Result<WatchId> watch(const Text &host, std::uint64_t user_data = 0)
    {
        return watch_host(host, user_data, nullptr);
    }
    template <class F, std::enable_if_t<detail::is_callback<F>, int> = 0>
    [[nodiscard]] Result<WatchId> watch(const Text &host, F &&callback)
    {
        return watch_host(host, 0, std::forward<F>(callback));
    }
    /// Ends a watch: no event of it comes any more, not even one that poll() had already drained.
    Result<void> unwatch(WatchId watch)
    {
        const sortie_result result = sortie_reachability_unwatch(native(), watch.value());
        if (result != SORTIE_OK)
            return Error::of(result);
        core_->drop(watch.id_.ticket_, true);
        return {};
    }

    /// Registers an answer made up for tests.
    [[nodiscard]] Result<MockId> mock(const Mock &mock)
    {
        const detail::Description &description = mock;
        if (description.error().code() != Code::ok)
            return description.error();
        std::uint64_t id = 0;
        const sortie_result result = sortie_client_mock(native(), &mock.native(), &id);
        if (result != SORTIE_OK)
            return Error::of(result);
        return static_cast<MockId>(id);
    }
    Result<void> unmock(MockId id)
    {
        return detail::checked(sortie_client_unmock(native(), static_cast<std::uint64_t>(id)));
    }

private:
    static Result<Client> create_from(const sortie_client_config *config)
    {
        sortie_client *created = nullptr;
        const sortie_result result = sortie_client_create(config, &created);
        if (result != SORTIE_OK)
            return Error::of(result);
        // Memory may be used up.
        std::unique_ptr<sortie_client, decltype(&sortie_client_destroy)> owned(created, &sortie_client_destroy);
        Client client;
        client.core_ = new detail::Core(created);
        owned.release();
        return client;
    }

    template <class F> Result<Id> submit_desc(const Request &request, F &&callback)
    {
        if (request.error().code() != Code::ok)
            return request.error();
        sortie_request_desc desc = request.native();
        return start(desc.user_data, std::forward<F>(callback), [&](std::uint64_t user_data, sortie_request *id) {
            desc.user_data = user_data;
            return sortie_submit(native(), &desc, id);
        });
    }

    template <class F> Result<Id> get_url(const Text &url, std::uint64_t user_data, F &&callback)
    {
        const detail::Terminated where(url, "url");
        if (where.is_bad())
            return where.error();
        return start(user_data, std::forward<F>(callback), [&](std::uint64_t ticket, sortie_request *id) {
            return sortie_get(native(), where.get(), ticket, id);
        });
    }

    template <class F>
    Result<Id> download_file(const Text &url, const Text &path, std::uint64_t user_data, F &&callback)
    {
        const detail::Terminated where(url, "url"), file(path, "path");
        if (where.is_bad() || file.is_bad())
            return where.is_bad() ? where.error() : file.error();
        return start(user_data, std::forward<F>(callback), [&](std::uint64_t ticket, sortie_request *id) {
            return sortie_download(native(), where.get(), file.get(), ticket, id);
        });
    }

    template <class F>
    Result<Id> upload_file(const Text &url, const Text &path, const Text &content_type, std::uint64_t user_data,
                           F &&callback)
    {
        const detail::Terminated where(url, "url"), file(path, "path"), type(content_type, "content_type");
        for (const detail::Terminated *text : {&where, &file, &type}) {
            if (text->is_bad())
                return text->error();
        }
        return start(user_data, std::forward<F>(callback), [&](std::uint64_t ticket, sortie_request *id) {
            return sortie_upload(native(), where.get(), file.get(), type.get(), ticket, id);
        });
    }

    template <class F> Result<WatchId> watch_host(const Text &host, std::uint64_t user_data, F &&callback)
    {
        const detail::Terminated name(host, "host");
        if (name.is_bad())
            return name.error();
        const auto watch = [&](std::uint64_t ticket, sortie_request *id) {
            return sortie_reachability_watch(native(), name.get(), ticket, id);
        };
        // Always with a slot, which tells what comes after unwatch().
        const Result<Id> started = start(user_data, std::forward<F>(callback), watch, true);
        if (!started)
            return started.error();
        return WatchId(*started);
    }

    /// Starts a request or a watch, with a slot if it needs one. A callback of nullptr is none.
    template <class F, class Start>
    Result<Id> start(std::uint64_t user_data, F &&callback, Start &&start, bool needs_slot = false)
    {
        constexpr bool has_callback = !std::is_null_pointer_v<std::decay_t<F>>;
        if constexpr (std::is_pointer_v<std::remove_reference_t<F>>) {
            if (!callback)
                return Error(Code::null_argument, "the callback is a null pointer");
        }
        sortie_request request = 0;
        if (!core_ || !(has_callback || needs_slot || detail::Slots::is_ticket(user_data))) {
            const sortie_result result = start(user_data, &request);
            if (result != SORTIE_OK)
                return Error::of(result);
            return Id(request);
        }
        struct Taken {
            detail::Core &core;
            std::uint64_t ticket = 0;
            detail::Slot *slot = nullptr;
            ~Taken()
            {
                if (slot)
                    core.table.release(*slot, ticket);
            }
        };
        // Given back if the request is refused, or copying the callback throws.
        Taken taken{*core_};
        taken.slot = core_->table.take(taken.ticket);
        if (!taken.slot)
            return Error(Code::too_many_requests, "as many requests with callbacks as can be are live");
        taken.slot->user_data = user_data;
        if constexpr (has_callback)
            taken.slot->callback.emplace(std::forward<F>(callback));
        const std::uint64_t ticket = taken.ticket;
        const sortie_result result = start(ticket, &request);
        if (result != SORTIE_OK)
            return Error::of(result);
        taken.slot = nullptr;
        return Id(request, ticket);
    }

    template <class F> static void deliver(detail::Core &core, sortie_event &event, F &handler)
    {
        const std::uint64_t ticket = event.user_data;
        if (!detail::Slots::is_ticket(ticket)) {
            handler(Event(event, Id(event.request)));
            return;
        }
        detail::Slot *slot = core.table.find(ticket);
        if (event.type == SORTIE_EVENT_TRACE) {
            // To whoever keeps the log, not to who asked for the request.
            event.user_data = slot ? slot->user_data : 0;
            handler(Event(event, Id(event.request, ticket)));
            return;
        }
        if (!slot)
            return;
        const detail::Running running(core.table, *slot, ticket, event.type == SORTIE_EVENT_ENDED);
        event.user_data = slot->user_data;
        if (slot->callback)
            slot->callback(Event(event, Id(event.request, ticket)));
        else if (!slot->is_dropped)
            handler(Event(event, Id(event.request, ticket)));
    }

    detail::Core *core_ = nullptr;
};

// ---- Coroutines -----------------------------------------------------------------------------------------------------

#ifdef SORTIE_HPP_COROUTINES

/// A request under way, whose end a coroutine can await:
///
///     sortie::Result<sortie::Response> answer = co_await client.fetch("https://example.com/scores.json");
///
/// It runs from fetch() on, so several can be under way before the first is awaited. The coroutine goes on inside
/// poll(), and an exception that it lets out leaves poll(). Destroyed before its end, as with its coroutine, it cancels
/// the request. If the client ends first, its awaiters go on with Code::shutdown. Stays where it is made; awaited once,
/// by one.
class [[nodiscard]] Fetch {
public:
    Fetch(const Fetch &) = delete;
    Fetch &operator=(const Fetch &) = delete;
    ~Fetch()
    {
        is_ending_ = true;
        handle_.reset();
    }

    /// To cancel it, or to change its priority; 0 if it was refused or has ended.
    Id id() const noexcept { return handle_.id(); }
    bool is_ready() const noexcept { return is_ready_; }

    bool await_ready() const noexcept { return is_ready_; }
    void await_suspend(std::coroutine_handle<> waiting) noexcept { waiting_ = waiting; }
    Result<Response> await_resume() { return std::move(result_); }

private:
    friend class Client;

    /// The callback: what it does when it is dropped undelivered tells the awaiter that the client has ended.
    class Arrival {
    public:
        explicit Arrival(Fetch &fetch) noexcept : fetch_(&fetch) {}
        Arrival(Arrival &&other) noexcept : fetch_(std::exchange(other.fetch_, nullptr)) {}
        Arrival &operator=(Arrival &&) = delete;
        ~Arrival()
        {
            Fetch *fetch = std::exchange(fetch_, nullptr);
            if (fetch && !fetch->is_ending_)
                fetch->finish(Error(Code::shutdown, "the client was destroyed before the request had ended"));
        }
        void operator()(const Event &event)
        {
            // What goes on may destroy the fetch.
            if (event.ended())
                std::exchange(fetch_, nullptr)->finish(Response(event));
        }

    private:
        Fetch *fetch_;
    };

    Fetch(Client &client, const Request &request)
    {
        if (has(static_cast<RequestFlags>(request.native().flags), RequestFlags::stream_response)) {
            refuse(Error(Code::argument, "fetch() gives whole responses: it does not take stream_response"));
            return;
        }
        const Result<Id> id = client.submit(request, Arrival(*this));
        if (id)
            handle_ = client.hold(*id);
        else
            refuse(id.error());
    }

    void refuse(Error error)
    {
        result_ = Result<Response>(std::move(error));
        is_ready_ = true;
    }

    void finish(Result<Response> result)
    {
        result_ = std::move(result);
        is_ready_ = true;
        handle_.detach();
        if (std::coroutine_handle<> waiting = std::exchange(waiting_, nullptr))
            waiting.resume();
    }

    Handle handle_;
    std::coroutine_handle<> waiting_;
    Result<Response> result_{Response()};
    bool is_ready_ = false;
    bool is_ending_ = false;
};

inline Fetch Client::fetch(const Request &request) { return Fetch(*this, request); }
inline Fetch Client::fetch(const Text &url) { return Fetch(*this, Request(url)); }

/// A coroutine that its owner can drop: it starts at once, and goes with this. For programs that have no such type of
/// their own.
class [[nodiscard]] Task {
public:
    struct promise_type {
        Task get_return_object() noexcept
        {
            return Task(std::coroutine_handle<promise_type>::from_promise(*this));
        }
        std::suspend_never initial_suspend() const noexcept { return {}; }
        std::suspend_always final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        /// Out of whoever resumed it: its caller at first, then poll().
        void unhandled_exception() const
        {
#ifdef SORTIE_HPP_EXCEPTIONS
            throw;
#endif
        }
    };

    Task() = default;
    Task(Task &&other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
    Task &operator=(Task &&other) noexcept
    {
        Task taken(std::move(other));
        std::swap(coroutine_, taken.coroutine_);
        return *this;
    }
    ~Task()
    {
        if (coroutine_)
            coroutine_.destroy();
    }

    bool done() const noexcept { return !coroutine_ || coroutine_.done(); }

private:
    explicit Task(std::coroutine_handle<promise_type> coroutine) noexcept : coroutine_(coroutine) {}

    std::coroutine_handle<promise_type> coroutine_;
};

#endif // SORTIE_HPP_COROUTINES

// ---- Encoding -------------------------------------------------------------------------------------------------------

/// A field of a form.
struct FormField {
    Text name;
    Text value;
};

/// Percent-encodes text for any place in a URL.
[[nodiscard]] inline Result<std::string> percent_encode(const Text &text)
{
    const detail::Terminated terminated(text, "the text");
    if (terminated.is_bad())
        return terminated.error();
    return detail::written(text.size() * 3, [&](char *out, std::uint64_t capacity) {
        return sortie_percent_encode(terminated.get(), out, capacity);
    });
}

/// Undoes percent-encoding. What comes out may be any bytes.
[[nodiscard]] inline Result<std::string> percent_decode(const Text &text)
{
    const detail::Terminated terminated(text, "the text");
    if (terminated.is_bad())
        return terminated.error();
    return detail::written(text.size(), [&](char *out, std::uint64_t capacity) {
        return sortie_percent_decode(terminated.get(), out, capacity);
    });
}

/// Writes fields as application/x-www-form-urlencoded.
[[nodiscard]] inline Result<std::string> form_urlencode(const FormField *fields, std::size_t count)
{
    if (count > UINT32_MAX)
        return Error(Code::argument, "the form has " + std::to_string(count) + " fields, the limit is 10000");
    const std::unique_ptr<sortie_form_part[]> parts(new sortie_form_part[count + 1]());
    detail::Arena arena;
    for (std::size_t i = 0; i < count; ++i) {
        const Text &name = fields[i].name;
        if (name.nul() != name.size())
            return detail::nul_inside("a form field's name", name.nul());
        parts[i].name = !name.data() || name.is_terminated() ? name.data() : arena.copy(name.data(), name.size());
        parts[i].data = fields[i].value.data();
        parts[i].data_length = fields[i].value.size();
    }
    return detail::written(128, [&](char *out, std::uint64_t capacity) {
        return sortie_form_urlencode(parts.get(), static_cast<std::uint32_t>(count), out, capacity);
    });
}
[[nodiscard]] inline Result<std::string> form_urlencode(std::initializer_list<FormField> fields)
{
    return form_urlencode(fields.begin(), fields.size());
}

} // namespace sortie

#endif // SORTIE_HPP
