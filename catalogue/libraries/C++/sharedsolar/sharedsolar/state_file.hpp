// A file that is there whole, whenever the power goes.
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>

#include <fcntl.h>
#include <unistd.h>

namespace sharedsolar {

// Replace a file whole: beside its place first, then under its name, each on the disk before the next step.
inline void write_whole(const std::string &path, const std::string &content) {
    const std::string beside = path + ".new";
    const int file = open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool good = file >= 0;
    for (size_t done = 0; good && done < content.size();) {
        const ssize_t count = write(file, content.data() + done, content.size() - done);
        good = count > 0;
        if (good) done += static_cast<size_t>(count);
    }
    good = good && fsync(file) == 0;
    if (file >= 0) good = close(file) == 0 && good;
    good = good && std::rename(beside.c_str(), path.c_str()) == 0;
    if (!good) throw std::runtime_error(path + ": " + std::strerror(errno));
    const auto slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    const int place = open(folder.c_str(), O_RDONLY | O_CLOEXEC);
    good = place >= 0 && fsync(place) == 0;
    if (place >= 0) close(place);
    if (!good) throw std::runtime_error(folder + ": " + std::strerror(errno));
}

}  // namespace sharedsolar
