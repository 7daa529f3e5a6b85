! Fortran: a module, contained procedures, an entry, arrays.
module numbers
  implicit none
contains
  function scaled(values, by) result(total)
    real, intent(in) :: values(:)
    real, intent(in) :: by
    real :: total
    total = sum(inner(values))
  contains
    elemental function inner(x)
      real, intent(in) :: x
      real :: inner
      inner = x * by + sqrt(abs(x))
    end function inner
  end function scaled

  recursive integer function depth(n) result(d)
    integer, intent(in) :: n
    d = 1
    if (n > 0) d = d + depth(n / 2)
  end function depth
end module numbers

subroutine first(n)
  integer :: n
  n = n + 1
  entry other(n)
  n = n * 2
end subroutine first

program main
  use numbers
  implicit none
  integer :: n
  n = command_argument_count()
  call first(n)
  call other(n)
  print *, scaled([real(n), 2.0, 3.0], 4.0), depth(n)
end program main
