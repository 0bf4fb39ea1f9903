/* SPDX-License-Identifier: Apache-2.0 */
/* Each node's children form a list by .sibling; .previous is the left neighbour, or the parent of
 * the first child. */
#include "deadline_heap.h"

/* Two roots, one of which may be NULL, become one: the later one is the other's first child. */
static struct posix_deadline *join(struct posix_deadline *a, struct posix_deadline *b)
{
    if (a == NULL || b == NULL) {
        return a != NULL ? a : b;
    }
    struct posix_deadline *first = b->at_ns < a->at_ns ? b : a;
    struct posix_deadline *second = first == a ? b : a;
    second->sibling = first->child;
    if (first->child != NULL) {
        first->child->previous = second;
    }
    second->previous = first;
    first->child = second;
    return first;
}

/* A list of siblings becomes one heap: joined two by two to the right, then all together to the
 * left.
 */
static struct posix_deadline *join_all(struct posix_deadline *list)
{
    struct posix_deadline *pairs = NULL; /* the last pair first */
    while (list != NULL) {
        struct posix_deadline *a = list;
        struct posix_deadline *b = a->sibling;
        list = b != NULL ? b->sibling : NULL;
        a->sibling = NULL;
        if (b != NULL) {
            b->sibling = NULL;
        }
        struct posix_deadline *pair = join(a, b);
        pair->sibling = pairs;
        pairs = pair;
    }
    struct posix_deadline *root = NULL;
    while (pairs != NULL) {
        struct posix_deadline *next = pairs->sibling;
        pairs->sibling = NULL;
        root = join(root, pairs);
        pairs = next;
    }
    if (root != NULL) {
        root->previous = NULL;
    }
    return root;
}

/* @impl ATL-LLR-TIMER-0001~1 */
void deadline_heap_insert(struct posix_deadline **root, struct posix_deadline *deadline)
{
    deadline->child = deadline->sibling = deadline->previous = NULL;
    *root = join(*root, deadline);
}

/* @impl ATL-LLR-TIMER-0001~1 */
void deadline_heap_remove(struct posix_deadline **root, struct posix_deadline *deadline)
{
    struct posix_deadline *children = join_all(deadline->child);
    if (*root == deadline) {
        *root = children;
    } else {
        struct posix_deadline *previous = deadline->previous;
        bool is_first_child = previous->child == deadline;
        *(is_first_child ? &previous->child : &previous->sibling) = deadline->sibling;
        if (deadline->sibling != NULL) {
            deadline->sibling->previous = previous;
        }
        *root = join(*root, children);
    }
    deadline->child = deadline->sibling = deadline->previous = NULL;
}
