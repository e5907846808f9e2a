using System.Collections;
using System.Reflection;

using Microsoft.CodeAnalysis;

using ModelSdk.Generators.Tests.Testing;

namespace ModelSdk.Generators.Tests;

/// <summary>What the pipeline keeps between runs holds no object of Roslyn: that would keep whole compilations alive, and never be equal.</summary>
public class ModelGraphTests
{
    [Fact]
    public void No_step_keeps_an_object_of_Roslyn()
    {
        Generate generated = Generate.From(
        [
            new TestFile("/app/tutor.model.json", Manifests.Tutor),
            new TestFile("/app/judge.model.json", Manifests.Judge),
            new TestFile("/app/solver.model.json", Manifests.Solver),
            new TestFile("/app/broken.model.json", """{ "base": 1 }"""),
            TestFile.Lock("/app/tutor.model.lock.json", Manifests.TutorLock),
        ]);
        string[] steps =
        [
            TrackingNames.ManifestTexts, TrackingNames.ParsedManifests, TrackingNames.ParsedLocks, TrackingNames.RootNamespace,
            TrackingNames.ResolvedManifests, TrackingNames.ClientSources, TrackingNames.Diagnostics,
        ];
        int visited = 0;
        foreach (string step in steps)
        {
            object[] outputs = [.. generated.Result.TrackedSteps[step].SelectMany(s => s.Outputs).Select(o => o.Value)];
            Assert.NotEmpty(outputs);
            foreach (object output in outputs) visited += Walk(output, step, new HashSet<object>(ReferenceEqualityComparer.Instance));
        }

        Assert.True(visited > 100, $"only {visited} objects were looked at");
    }

    [Fact]
    public void The_walk_finds_an_object_of_Roslyn()
    {
        var hidden = new { Inner = new object[] { "text", Location.None } };

        Assert.ThrowsAny<Exception>(() => Walk(hidden, "here", new HashSet<object>(ReferenceEqualityComparer.Instance)));
    }

    private static int Walk(object? value, string path, HashSet<object> seen)
    {
        if (value is null) return 0;
        Type type = value.GetType();
        if (type.IsPrimitive || type.IsEnum || value is string) return 1;
        Assert.False(
            type.Assembly.GetName().Name!.StartsWith("Microsoft.CodeAnalysis", StringComparison.Ordinal),
            $"{path} holds a {type.FullName}");
        if (!type.IsValueType && !seen.Add(value)) return 0;
        int count = 1;
        if (value is IEnumerable items)
        {
            int index = 0;
            foreach (object? item in items) count += Walk(item, $"{path}[{index++}]", seen);
            return count;
        }

        for (Type? declaring = type; declaring is not null && declaring != typeof(object); declaring = declaring.BaseType)
        {
            foreach (FieldInfo field in declaring.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
                count += Walk(field.GetValue(value), $"{path}.{field.Name}", seen);
        }

        return count;
    }
}
