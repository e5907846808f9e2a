namespace System.Runtime.CompilerServices;

/// <summary>What the C# compiler asks for when it compiles <c>init</c> for netstandard2.0.</summary>
internal static class IsExternalInit;
