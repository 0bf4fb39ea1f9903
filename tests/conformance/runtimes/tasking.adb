--  SPDX-License-Identifier: Apache-2.0
--
--  What Ada's runtime asks of a system: tasks on every core, rendezvous, protected objects, delays,
--  exceptions out of faults, abortion, finalisation.
--
--     tasking STATUS      all cases, then ends with STATUS
--     tasking exception   ends by an exception that nobody handles
--
--  Every line depends on the program alone, so a run on Linux prints the same.

with Ada.Calendar;            use Ada.Calendar;
with Ada.Command_Line;        use Ada.Command_Line;
with Ada.Containers.Ordered_Maps;
with Ada.Directories;
with Ada.Exceptions;          use Ada.Exceptions;
with Ada.Finalization;
with Ada.Real_Time;
with Ada.Text_IO;             use Ada.Text_IO;
with Ada.Unchecked_Deallocation;
with Interfaces.C;            use Interfaces.C;
with System.Multiprocessors;  use System.Multiprocessors;

procedure Tasking is
   function Current_Core return int with Import, Convention => C, External_Name => "sched_getcpu";

   --  Tasks bound to each processor meet at an entry that opens when all are there.
   procedure Every_Core is
      Cores : constant CPU := Number_Of_CPUs;
      protected Meeting is
         entry Wait;
         procedure Saw (Right : Boolean);
         function Count return Natural;
      private
         Open : Boolean := False;
         Seen : Natural := 0;
      end Meeting;
      protected body Meeting is
         entry Wait when Open or Wait'Count = Integer (Cores) is
         begin
            Open := True;
         end Wait;
         procedure Saw (Right : Boolean) is
         begin
            Seen := Seen + Boolean'Pos (Right);
         end Saw;
         function Count return Natural is (Seen);
      end Meeting;
      task type Visitor (Place : CPU) with CPU => Place;
      task body Visitor is
      begin
         Meeting.Wait;
         Meeting.Saw (Current_Core + 1 = int (Place));
      end Visitor;
      type Visitor_Access is access Visitor;
   begin
      declare
         Visitors : array (1 .. Cores) of Visitor_Access;
      begin
         for C in Visitors'Range loop
            Visitors (C) := new Visitor (C);
         end loop;
         for V of Visitors loop
            while not V'Terminated loop
               delay 0.001;
            end loop;
         end loop;
      end;
      Put_Line ("every core: " & Boolean'Image (Meeting.Count = Natural (Cores)));
   end Every_Core;

   procedure Rendezvous is
      task Server is
         entry Square (N : in Long_Integer; Result : out Long_Integer);
         entry Sum (Result : out Long_Integer);
      end Server;
      task body Server is
         Total : Long_Integer := 0;
      begin
         loop
            select
               accept Square (N : in Long_Integer; Result : out Long_Integer) do
                  Result := N * N;
                  Total := Total + Result;
               end Square;
            or
               accept Sum (Result : out Long_Integer) do
                  Result := Total;
               end Sum;
            or
               terminate;
            end select;
         end loop;
      end Server;
      Result : Long_Integer;
   begin
      declare
         task type Client (First : Integer);
         task body Client is
            Squared : Long_Integer;
         begin
            for N in First .. First + 99 loop
               Server.Square (Long_Integer (N), Squared);
               if Squared /= Long_Integer (N) ** 2 then
                  Put_Line ("wrong square");
               end if;
            end loop;
         end Client;
         A : Client (0);
         B : Client (100);
         C : Client (200);
         D : Client (300);
      begin
         null;  --  left when the clients have ended
      end;
      Server.Sum (Result);
      Put_Line ("rendezvous:" & Result'Image);
   end Rendezvous;

   procedure Protected_Objects is
      type Buffer_Index is mod 4;
      type Items is array (Buffer_Index) of Integer;
      protected Buffer is
         entry Put (N : Integer);
         entry Get (N : out Integer);
      private
         Slots       : Items := (others => 0);
         First, Next : Buffer_Index := 0;
         Count       : Natural := 0;
      end Buffer;
      protected body Buffer is
         entry Put (N : Integer) when Count < 4 is
         begin
            Slots (Next) := N;
            Next := Next + 1;
            Count := Count + 1;
         end Put;
         entry Get (N : out Integer) when Count > 0 is
         begin
            N := Slots (First);
            First := First + 1;
            Count := Count - 1;
         end Get;
      end Buffer;
      protected Totals is
         procedure Add (N : Integer);
         function Value return Integer;
      private
         Total : Integer := 0;
      end Totals;
      protected body Totals is
         procedure Add (N : Integer) is
         begin
            Total := Total + N;
         end Add;
         function Value return Integer is (Total);
      end Totals;
   begin
      declare
         task type Producer;
         task type Consumer;
         task body Producer is
         begin
            for N in 1 .. 250 loop
               Buffer.Put (N);
            end loop;
         end Producer;
         task body Consumer is
            N : Integer;
         begin
            for I in 1 .. 250 loop
               Buffer.Get (N);
               Totals.Add (N);
            end loop;
         end Consumer;
         Producers : array (1 .. 4) of Producer;
         Consumers : array (1 .. 4) of Consumer;
         pragma Unreferenced (Producers, Consumers);
      begin
         null;
      end;
      Put_Line ("protected:" & Integer'Image (Totals.Value));
   end Protected_Objects;

   type Node;
   type Node_Access is access Node;
   type Node is record
      Left, Right : Node_Access;
   end record;
   procedure Free is new Ada.Unchecked_Deallocation (Node, Node_Access);

   function Depth_Of (Where : Node_Access) return Natural is
     (if Where.Left = null then 1 else 1 + Depth_Of (Where.Left));

   --  A fault of any task becomes an exception of that task.
   procedure Exceptions is
      Ours : exception;
      protected Counts is
         procedure Add;
         function Value return Natural;
      private
         Count : Natural := 0;
      end Counts;
      protected body Counts is
         procedure Add is
         begin
            Count := Count + 1;
         end Add;
         function Value return Natural is (Count);
      end Counts;
   begin
      declare
         task type Faulty;
         task body Faulty is
            Nothing : Node_Access := null;
            Zero    : Integer := Integer (Counts.Value) * 0;
            pragma Volatile (Nothing);
            pragma Volatile (Zero);
         begin
            for I in 1 .. 20 loop
               begin
                  Put_Line ("not reached" & Natural'Image (Depth_Of (Nothing)));
               exception
                  when Constraint_Error => Counts.Add;
               end;
               begin
                  Zero := I / Zero;
               exception
                  when Constraint_Error => Counts.Add;
               end;
               begin
                  raise Ours with "number" & I'Image;
               exception
                  when E : Ours =>
                     if Exception_Message (E) = "number" & I'Image then
                        Counts.Add;
                     end if;
               end;
               Zero := 0;
            end loop;
         end Faulty;
         Tasks : array (1 .. 8) of Faulty;
         pragma Unreferenced (Tasks);
      begin
         null;
      end;
      Put_Line ("exceptions:" & Natural'Image (Counts.Value));
      declare
         task Raiser is
            entry Start;
         end Raiser;
         task body Raiser is
         begin
            accept Start do
               raise Ours with "out of a rendezvous";
            end Start;
         exception
            when Ours => null;
         end Raiser;
      begin
         Raiser.Start;
      exception
         when E : Ours => Put_Line ("caught: " & Exception_Message (E));
      end;
   end Exceptions;

   --  Storage_Error, from the guard page of a task's stack, by way of the alternate stack.
   procedure Stack_Overflow is
      protected Result is
         procedure Set;
         function Value return Boolean;
      private
         Caught : Boolean := False;
      end Result;
      protected body Result is
         procedure Set is
         begin
            Caught := True;
         end Set;
         function Value return Boolean is (Caught);
      end Result;
   begin
      declare
         task Deep with Storage_Size => 256 * 1024;
         task body Deep is
            function Endless (N : Integer) return Integer is
               Block : array (1 .. 100) of Integer := (others => N);
               pragma Volatile (Block);
            begin
               return (if N < 0 then 0 else Endless (N + 1) + Block (7));
            end Endless;
         begin
            Put_Line ("not reached" & Integer'Image (Endless (0)));
         exception
            when Storage_Error => Result.Set;
         end Deep;
      begin
         null;
      end;
      Put_Line ("stack overflow: " & Boolean'Image (Result.Value));
   end Stack_Overflow;

   type Counted is new Ada.Finalization.Controlled with null record;
   Finalised : Natural := 0;
   pragma Atomic (Finalised);
   overriding procedure Finalize (Object : in out Counted);
   overriding procedure Finalize (Object : in out Counted) is
      pragma Unreferenced (Object);
   begin
      Finalised := Finalised + 1;
   end Finalize;

   procedure Abortion is
      use Ada.Real_Time;
      Limit : constant Ada.Real_Time.Time := Ada.Real_Time.Clock + Milliseconds (20);
      Turns : Interfaces.C.unsigned_long := 0;
      pragma Volatile (Turns);
   begin
      declare
         task Endless is
            entry Started;
         end Endless;
         task body Endless is
            Item : Counted;
            pragma Unreferenced (Item);
         begin
            accept Started;
            loop
               delay 1000.0;
            end loop;
         end Endless;
      begin
         Endless.Started;
         abort Endless;
      end;
      select
         delay until Limit;
         Put_Line ("loop aborted:" & Natural'Image (Finalised) & " object finalised");
      then abort
         loop
            Turns := Turns + 1;
            delay 0.0;  --  a point where the loop may be left
         end loop;
      end select;
   end Abortion;

   procedure Delays is
      Start : constant Ada.Calendar.Time := Ada.Calendar.Clock;
      task Closed is
         entry Never;
         entry Ready;
         entry Finish;
      end Closed;
      task body Closed is
      begin
         select
            accept Never;
         or
            delay 0.01;
            Put_Line ("accept timed out");
         end select;
         accept Ready;
         accept Finish;
      end Closed;
   begin
      Closed.Ready;
      select
         Closed.Never;
      or
         delay 0.02;
         Put_Line ("call timed out");
      end select;
      Closed.Finish;
      Put_Line ("delays: " & Boolean'Image (Ada.Calendar.Clock - Start >= 0.03));
   end Delays;

   procedure Files is
      package Maps is new Ada.Containers.Ordered_Maps (Integer, Integer);
      Name  : constant String := "tasking.text";
      File  : File_Type;
      Seen  : Maps.Map;
      Total : Integer := 0;
   begin
      Create (File, Out_File, Name);
      for N in 1 .. 2000 loop
         Put_Line (File, Integer'Image (N));
      end loop;
      Close (File);
      Open (File, In_File, Name);
      while not End_Of_File (File) loop
         declare
            N : constant Integer := Integer'Value (Get_Line (File));
         begin
            Seen.Include (N mod 97, N);
            Total := Total + N;
         end;
      end loop;
      Close (File);
      Put_Line ("files:" & Total'Image & Integer'Image (Integer (Seen.Length)));
      Ada.Directories.Delete_File (Name);
      begin
         Open (File, In_File, Name);
      exception
         when Name_Error => Put_Line ("deleted");
      end;
   end Files;

   Tree : Node_Access := new Node;
begin
   Free (Tree);
   if Argument (1) = "exception" then
      Put_Line ("before the exception");
      raise Program_Error with "nobody handles";
   end if;
   Every_Core;
   Rendezvous;
   Protected_Objects;
   Exceptions;
   Stack_Overflow;
   Abortion;
   Delays;
   Files;
   Put_Line ("end");
   Set_Exit_Status (Exit_Status'Value (Argument (1)));
end Tasking;
