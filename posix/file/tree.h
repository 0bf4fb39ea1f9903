/* SPDX-License-Identifier: Apache-2.0 */
/* Names: directories and their entries, and walking paths. The tree starts as the image's files;
 * nodes come into being when they are first named. A directory becomes complete (all names of the
 * image turned into entries) before a name is taken out of it or it is listed, so no whiteouts are
 * needed.
 *
 * Everything here is called with tree_lock held, except where it says otherwise. */
#ifndef POSIX_FILE_TREE_H
#define POSIX_FILE_TREE_H

#include "node.h"

struct entry {
    struct entry *next, *previous; /* in the directory, by cookie */
    struct entry *chain;           /* in the hash bucket */
    struct posix_node *node;       /* referenced */
    struct posix_node *directory;
    uint64_t cookie; /* > 2; a position in the directory that never changes */
    uint32_t hash;
    uint32_t name_bytes;
    char name[]; /* not terminated */
};

void tree_acquire(void);
void tree_release(void);
struct posix_node *tree_root(void);
/* Makes the root; before anything else. */
int64_t tree_initialize(void);

/* The entry of a name, made from the image if need be. NULL: there is none, or *error is -ENOMEM.
 */
struct entry *tree_find(struct posix_node *directory, const char *name, size_t name_bytes,
                        int64_t *error);
/* Adds a name for a node (one more link; directories: and their parent's). -ENOMEM, -EEXIST is the
 * caller's to exclude. */
int64_t tree_add(struct posix_node *directory, const char *name, size_t name_bytes,
                 struct posix_node *node);
/* Takes a name away; the directory is complete. */
void tree_remove(struct entry *entry);
/* Turns every name of the image below a directory into entries. -ENOMEM */
int64_t tree_complete(struct posix_node *directory);
/* Makes a directory of a node from node_create. */
void tree_make_directory(struct posix_node *node, struct posix_node *parent);
/* Whether ancestor is node or above it. */
bool tree_is_above(const struct posix_node *ancestor, const struct posix_node *node);
/* Absolute path of a directory or of a node with a name into buffer, ending it with NUL; its
 * length, -ENOENT: it has no name any more, -ERANGE: too long. */
int64_t tree_path(const struct posix_node *node, char *buffer, size_t bytes);

/* ---- walking (walk.c) */
struct walk {
    struct posix_node
        *directory;          /* where the last name is looked up; NULL: the path is "/" or so */
    struct posix_node *node; /* what the path leads to; NULL: the last name does not exist */
    struct entry *entry;     /* the entry of the last name, or NULL (root, dot names, magic) */
    const char *name;        /* the last name, not terminated */
    size_t name_bytes;
    bool has_slash;               /* a slash follows the last name: it must be a directory */
    bool is_dots;                 /* the last name is . or .. */
    char *buffer;                 /* of an expanded symbolic link: walk_finish frees it */
    struct posix_node *transient; /* a reference to give back */
};
#define WALK_FOLLOW 1u /* the last name too, if it is a symbolic link */
#define WALK_NAME 4u   /* the last name itself is meant, slash or not: callers check has_slash */
#define WALK_CREATE 2u /* for a file that is created: a slash behind the last name is -EISDIR */
/* Of openat2, besides: */
#define WALK_NO_CROSSING 8u /* not into another file system: -EXDEV */
#define WALK_NO_MAGIC 16u   /* links of /proc/self/fd are -ELOOP */
#define WALK_NO_LINKS 32u   /* any symbolic link is -ELOOP */
#define WALK_BENEATH 64u    /* whatever leads out of start is -EXDEV */
#define WALK_IN_ROOT 128u   /* start is the root */
/* Walks a path from start (absolute paths: from the root). 0 even if the last name does not exist.
 * -ENOENT -ENOTDIR -ELOOP -ENAMETOOLONG -ENOMEM. walk_finish always follows, lock still held. */
int64_t walk_path(struct walk *walk, struct posix_node *start, const char *path, uint32_t flags);
void walk_finish(struct walk *walk);

/* A path of the application, or in the heap of posix/: copied in, the directory descriptor
 * resolved. */
struct path {
    char small[128];
    char *text;
    char *allocated;
    struct posix_node *start; /* referenced */
};
/* -EFAULT -ENAMETOOLONG -ENOENT (empty) -EBADF -ENOTDIR -ENOMEM. path_free follows on success only.
 * May be called with no lock held only.
 * @allow_empty: an empty path is no error: start is the descriptor's node, whatever it is */
int64_t path_load(struct path *path, uint64_t directory, uint64_t text, bool allow_empty);
/* Makes the path start from the directory though it is absolute. On failure the path is freed. */
int64_t path_start_again(struct path *path, uint64_t directory);
void path_free(struct path *path);

/* Gives a node its first name (is_new) or one more; the caller's reference stays the caller's. No
 * lock is held. The errors of path_load, -EEXIST, and what else new names meet. */
int64_t names_add(uint64_t directory, uint64_t text, struct posix_node *node, bool is_new);
/* The same for a path in posix/'s memory that is not empty; locks above the tree's may be held. */
int64_t names_add_at(struct posix_node *start, const char *text, struct posix_node *node,
                     bool is_new);

/* The working directory, borrowed. */
struct posix_node *tree_working_directory_locked(void);
/* The working directory, referenced; no lock held. */
struct posix_node *tree_working_directory(void);
/* Takes over the reference; no lock held. */
void tree_set_working_directory(struct posix_node *directory);

#endif
