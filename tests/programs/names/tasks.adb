--  Ada: nested procedures, a generic, an exception.
with Ada.Text_IO;

procedure Tasks is

   generic
      type Item is range <>;
   function Doubled (X : Item) return Item;

   function Doubled (X : Item) return Item is
   begin
      return X * 2;
   end Doubled;

   function Of_Integers is new Doubled (Integer);

   type Numbers is array (1 .. 10) of Integer;
   Values : Numbers := (others => 3);

   procedure Fill (From : Integer) is
      function Next (X : Integer) return Integer is
      begin
         return Of_Integers (X) + From;
      end Next;
   begin
      for I in Values'Range loop
         Values (I) := Next (I);
      end loop;
   end Fill;

begin
   Fill (Values (Values (1)));
   Ada.Text_IO.Put_Line (Integer'Image (Values (5)));
exception
   when Constraint_Error =>
      Ada.Text_IO.Put_Line ("out of range");
end Tasks;
