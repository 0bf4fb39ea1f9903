! SPDX-License-Identifier: Apache-2.0
!
! What Fortran's runtime and OpenMP ask of a system: teams on every core, reductions, tasks, locks,
! formatted files.
!
!     openmp STATUS    all cases, then ends with STATUS
!     openmp error     ends by an error of the runtime
!
! Every line depends on the program alone, so a run on Linux prints the same.
program openmp
    use omp_lib
    use iso_c_binding
    use iso_fortran_env, only: int64, real64
    implicit none
    interface
        function current_core() bind(c, name='sched_getcpu')
            import :: c_int
            integer(c_int) :: current_core
        end function
        subroutine leave(status) bind(c, name='exit')
            import :: c_int
            integer(c_int), value :: status
        end subroutine
    end interface
    character(len=20) :: argument
    integer :: status

    call get_command_argument(1, argument)
    if (argument == 'error') then
        print '(a)', 'before the error'
        error stop 3
    end if
    read (argument, *) status
    call every_core
    call reductions
    call matrices
    call tasks
    call locks
    call files
    print '(a)', 'end'
    call leave(int(status, c_int))

contains

    ! A team of several threads for each core runs until each core has been seen.
    subroutine every_core
        integer :: seen(0:63), cores, count, core
        seen = 0
        count = 0
        cores = omp_get_num_procs()
        !$omp parallel num_threads(4 * cores) private(core)
        do
            core = current_core()
            !$omp critical
            if (seen(core) == 0) count = count + 1
            seen(core) = 1
            !$omp end critical
            if (all_seen(count, cores)) exit
        end do
        !$omp end parallel
        print '(a,l2)', 'every core:', count == cores
    end subroutine

    logical function all_seen(count, cores)
        integer, intent(in) :: count, cores
        integer :: now
        !$omp atomic read
        now = count
        all_seen = now >= cores
    end function

    subroutine reductions
        integer(int64) :: total, largest, i
        integer(int64) :: mixed
        total = 0
        largest = 0
        mixed = 0
        !$omp parallel do schedule(dynamic, 64) reduction(+:total) reduction(max:largest) reduction(ieor:mixed)
        do i = 1, 50000
            total = total + i * i
            largest = max(largest, modulo(i * 7919, 10007_int64))
            mixed = ieor(mixed, i * 2654435761_int64)
        end do
        !$omp end parallel do
        print '(a,3(1x,i0))', 'reductions:', total, largest, mixed
    end subroutine

    subroutine matrices
        integer, parameter :: n = 96
        real(real64), allocatable :: a(:, :), b(:, :), c(:, :)
        integer :: i, j
        allocate (a(n, n), b(n, n), c(n, n))
        do j = 1, n
            do i = 1, n
                a(i, j) = modulo(i * j, 13)
                b(i, j) = modulo(i + j, 7)
            end do
        end do
        !$omp parallel do collapse(2) schedule(guided)
        do j = 1, n
            do i = 1, n
                c(i, j) = dot_product(a(i, :), b(:, j))
            end do
        end do
        !$omp end parallel do
        print '(a,f14.1,l2)', 'matrices:', sum(c), all(c == matmul(a, b))
    end subroutine

    recursive integer function fibonacci(n) result(value)
        integer, intent(in) :: n
        integer :: x, y
        if (n < 2) then
            value = n
            return
        end if
        !$omp task shared(x) if (n > 8)
        x = fibonacci(n - 1)
        !$omp end task
        !$omp task shared(y) if (n > 8)
        y = fibonacci(n - 2)
        !$omp end task
        !$omp taskwait
        value = x + y
    end function

    subroutine tasks
        integer :: result
        !$omp parallel
        !$omp single
        result = fibonacci(17)
        !$omp end single
        !$omp end parallel
        print '(a,1x,i0)', 'tasks:', result
    end subroutine

    subroutine locks
        integer(omp_lock_kind) :: lock
        integer :: total, ordered_sum, i
        total = 0
        ordered_sum = 0
        call omp_init_lock(lock)
        !$omp parallel do ordered schedule(static, 1)
        do i = 1, 400
            call omp_set_lock(lock)
            total = total + i
            call omp_unset_lock(lock)
            !$omp ordered
            ordered_sum = modulo(ordered_sum * 31 + i, 1000003)
            !$omp end ordered
        end do
        !$omp end parallel do
        call omp_destroy_lock(lock)
        print '(a,2(1x,i0))', 'locks:', total, ordered_sum
    end subroutine

    subroutine files
        integer :: unit, i, value, total, io
        real(real64) :: root
        character(len=80) :: line
        open (newunit=unit, file='openmp.text', status='replace', action='readwrite')
        do i = 1, 1000
            write (unit, '(i8,1x,es22.14)') i, sqrt(real(i, real64))
        end do
        rewind (unit)
        total = 0
        do
            read (unit, '(a)', iostat=io) line
            if (io /= 0) exit
            read (line, *) value, root
            if (abs(root * root - value) < 1e-6_real64) total = total + value
        end do
        close (unit, status='delete')
        open (newunit=unit, file='openmp.text', status='old', iostat=io)
        print '(a,1x,i0,l2)', 'files:', total, io /= 0
    end subroutine
end program openmp
